"""npm packages of a test folder, as its lock file has them."""

import shutil
import subprocess
from pathlib import Path

MISSING = "node and npm are not installed and the tests need them: apt-get install nodejs npm"


def installed(folder: Path) -> Path:
    """The folder's `node_modules`, installed where it is missing or older than the lock file."""
    modules = folder / "node_modules"
    stamp, lock = modules / ".package-lock.json", folder / "package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        npm = shutil.which("npm")
        assert npm is not None, MISSING
        command = [npm, "ci", "--no-audit", "--no-fund", "--silent"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
        assert run.returncode == 0, f"npm ci failed:\n{run.stdout}{run.stderr}"
    return modules
