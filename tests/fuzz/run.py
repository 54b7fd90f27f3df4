"""Fuzzes with atheris, by coverage: usage: run.py SECONDS [TARGET…]

Without a target each in turn for so long, `everything` (all of them in one run) last. A finding is written to
fuzz-findings/ with its traceback beside it, and makes the exit status 1.
"""

import logging
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / "fuzz-findings"
MEMORY = 2048  # MiB
OURS = ["gateway", "devices", "support.fuzzing", "websockets"]

for folder in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(folder))


def one(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz a target in this process; does not return."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing by coverage needs atheris: make fuzz installs it")

    with atheris.instrument_imports(include=OURS):
        from support.fuzzing import SEEDS, TARGETS

    logging.disable()  # what is refused is said there, thousands of times
    for number, seed in enumerate(SEEDS[name]):
        (corpus / str(number)).write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-rss_limit_mb={MEMORY}", "-timeout=10", "-print_final_stats=1"]
    prefix = f"-artifact_prefix={FINDINGS}/{name}-"
    atheris.Setup([sys.argv[0], *options, prefix, str(corpus)], TARGETS[name])
    atheris.Fuzz()


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz a target in a process of its own; whether nothing was found."""
    print(f"{name}: {seconds} s", flush=True)
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as corpus:
        command = [sys.executable, __file__, "--one", name, str(seconds), corpus]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    for line in result.stderr.splitlines():
        if line.startswith("stat::number_of"):
            print(f"  {line}", flush=True)
    if result.returncode != 0:
        said = result.stdout + result.stderr
        (FINDINGS / f"{name}.txt").write_text(said)
        print(said[-4000:], flush=True)
    return result.returncode == 0


def main() -> None:
    if len(sys.argv) == 5 and sys.argv[1] == "--one":
        one(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    if len(sys.argv) < 2 or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    from support.fuzzing import TARGETS

    seconds, names = int(sys.argv[1]), sys.argv[2:] or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        sys.exit(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    FINDINGS.mkdir(exist_ok=True)
    failed = [name for name in names if not fuzz(name, seconds)]
    if failed:
        sys.exit(f"findings in {', '.join(failed)}: see {FINDINGS.name}/")
    print("no finding")


if __name__ == "__main__":
    main()
