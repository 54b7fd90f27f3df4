"""Fuzzes the dialects' decoders with atheris: usage: dialects.py SECONDS TARGET.

A finding is written to fuzz-findings/ and ends the run with a status that is not 0.
"""

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
for folder in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(folder))

with atheris.instrument_imports(include=["gateway.edge"]):
    from support.fuzzdialects import SEEDS, TARGETS


def main() -> None:
    seconds, name = int(sys.argv[1]), sys.argv[2]
    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)
    findings = ROOT / "fuzz-findings"
    findings.mkdir(exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-print_final_stats=1",
        f"-artifact_prefix={findings}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
