"""Keys that are modelled but whose feature does not work yet: a file that sets one is refused.

An accepted key does what it says. Take a line out in the commit that makes it true; `config.example.toml` then
gains it. A line names a key without list indices, or a key and one of its values.
"""

NOT_YET = frozenset(
    {
        "limits.last_values_memory",
    }
)
