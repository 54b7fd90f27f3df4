"""npm packages of a test folder, as its lock file has them."""

import shutil
import subprocess
from pathlib import Path

MISSING = "node and npm are not installed and the tests need them: apt-get install nodejs npm"


def installed(folder: Path) -> Path:
    """The folder's `node_modules`, installed anew where they are not those of the lock file."""
    modules = folder / "node_modules"
    lock, stamp = folder / "package-lock.json", modules / ".installed-lock.json"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        npm = shutil.which("npm")
        assert npm is not None, MISSING
        command = [npm, "ci", "--no-audit", "--no-fund", "--silent"]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
        assert run.returncode == 0, f"npm ci failed:\n{run.stdout}{run.stderr}"
        shutil.copy(lock, stamp)
    return modules
