"""Fuzzes with atheris: usage: run.py SECONDS [TARGET…]; without a target each in turn for so long.

A finding is written to fuzz-findings/ and ends the run with status 1.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / "fuzz-findings"
MEMORY = 2048  # MiB

for folder in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(folder))


def one(name: str, seconds: int) -> None:
    """Fuzz a target in this process; does not return."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing by coverage needs atheris: pip install atheris")

    with atheris.instrument_imports(include=["gateway", "support.edgetargets", "support.fuzzdialects", "websockets"]):
        from support.edgetargets import SEEDS, SINGLE, TARGETS

    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    if name == "everything":
        seeds = [bytes((number,)) + seed for number, each in enumerate(SINGLE) for seed in SEEDS[each.__name__]]
    else:
        seeds = SEEDS[name]
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)
    FINDINGS.mkdir(exist_ok=True)
    options = [f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY}", "-timeout=10", "-print_final_stats=1"]
    prefix = f"-artifact_prefix={FINDINGS}/{name}-"
    atheris.Setup([sys.argv[0], *options, prefix, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        one(sys.argv[2], int(sys.argv[3]))
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    from support.edgetargets import TARGETS

    seconds, names = int(sys.argv[1]), sys.argv[2:] or list(TARGETS)
    failed = []
    for name in names:
        print(f"fuzzing {name} for {seconds} s", flush=True)
        command = [sys.executable, __file__, "--one", name, str(seconds)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        print("\n".join(line for line in result.stderr.splitlines() if line.startswith("stat::number_of")))
        if result.returncode != 0:
            failed.append(name)
            print(result.stdout[-4000:], result.stderr[-4000:])
    if failed:
        sys.exit(f"findings in {', '.join(failed)}: see {FINDINGS.name}/")


if __name__ == "__main__":
    main()
