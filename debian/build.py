"""Builds the Debian package from wheels: `python debian/build.py [FOLDER]`, with the Python that the package is for.

Everything lies in /usr/lib/sensor-gateway, beside Debian's own Python modules and never among them. Compiled wheels fit
one version of Python: `Depends` says which, so that an upgrade of the release refuses instead of breaking.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
EXTRAS = "cert,tui,jwt,cbor,sparkplug,cluster"
LIBRARY = Path("usr/lib/sensor-gateway")
UNITS = Path("usr/lib/systemd/system")
DOC = Path("usr/share/doc/sensor-gateway")

_LAUNCHER = """\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "/usr/lib/sensor-gateway")

from gateway.__main__ import main

sys.argv[0] = "sensor-gateway"
main()
"""


def main() -> None:
    """Build into FOLDER (default: dist)."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sensor-gateway-deb-") as folder:
        stage = Path(folder) / "stage"
        version = install(stage, wheelhouse(Path(folder) / "wheels"))
        files(stage)
        completions(stage)
        package = control(stage, version, target)
        run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", stage, package)
    print(package)


def run(*command: object, **environ: str) -> str:
    """Run a command; its output. Ends the build where it fails."""
    done = subprocess.run(
        [str(each) for each in command], stdout=subprocess.PIPE, text=True, env=os.environ | environ, cwd=ROOT
    )
    if done.returncode:
        sys.exit(f"failed: {' '.join(str(each) for each in command)}")
    return done.stdout.strip()


def wheelhouse(folder: Path) -> Path:
    """Wheels of the gateway and of everything it needs; SENSOR_GATEWAY_WHEELS names a folder that has them already."""
    if ready := os.environ.get("SENSOR_GATEWAY_WHEELS"):
        return Path(ready)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--wheel-dir", folder)
    run(*pip, f".[{EXTRAS}]", SENSOR_GATEWAY_CHARTS=os.environ.get("SENSOR_GATEWAY_CHARTS", "required"))
    return folder


def install(stage: Path, wheels: Path) -> str:
    """Unpack the wheels into the stage; the gateway's version."""
    library = stage / LIBRARY
    run(
        *(
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--no-index",
            "--no-compile",
        ),
        *("--find-links", wheels, "--target", library, f"sensor-gateway[{EXTRAS}]"),
    )
    shutil.rmtree(library / "bin", ignore_errors=True)
    return run(
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(library)!r}); import gateway; print(gateway.__version__)",
    )


def files(stage: Path) -> None:
    """What is no Python: the command, units, documents, folders."""
    launcher = stage / "usr/bin/sensor-gateway"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(_LAUNCHER)
    launcher.chmod(0o755)
    places = {
        "systemd/sensor-gateway.service": UNITS,
        "systemd/sensor-gateway@.service": UNITS,
        "systemd/sensor-gateway.socket": UNITS,
        "systemd/drop-ins/10-notify-reload.conf": Path("usr/share/sensor-gateway"),
        "systemd/drop-ins/credentials.conf": DOC / "examples",
        "systemd/drop-ins/local-network.conf": DOC / "examples",
        "config.example.toml": DOC / "examples",
        "README.md": DOC,
        "CHANGELOG.md": DOC,
    }
    for source, folder in places.items():
        (stage / folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, stage / folder / Path(source).name)
    for document in sorted((ROOT / "docs").iterdir()):
        if document.is_file():
            shutil.copyfile(document, stage / DOC / document.name)
    shutil.copyfile(ROOT / "LICENSE", stage / DOC / "copyright")
    for source, name in (("sysusers", "usr/lib/sysusers.d"), ("tmpfiles", "usr/lib/tmpfiles.d")):
        (stage / name).mkdir(parents=True)
        shutil.copyfile(ROOT / f"systemd/sensor-gateway.{source}", stage / name / "sensor-gateway.conf")
    (stage / "etc/sensor-gateway/conf.d").mkdir(parents=True)


def completions(stage: Path) -> None:
    """What the shells ask to complete a command's line, as click writes it."""
    code = (
        f"import sys; sys.path.insert(0, {str(stage / LIBRARY)!r}); sys.argv = ['sensor-gateway']; "
        "from gateway.cli import main; main()"
    )
    for shell, place in (
        ("bash", "bash-completion/completions/sensor-gateway"),
        ("zsh", "zsh/vendor-completions/_sensor-gateway"),
        ("fish", "fish/vendor_completions.d/sensor-gateway.fish"),
    ):
        file = stage / "usr/share" / place
        file.parent.mkdir(parents=True)
        text = run(sys.executable, "-c", code, _SENSOR_GATEWAY_COMPLETE=f"{shell}_source", PYTHONDONTWRITEBYTECODE="1")
        file.write_text(text + "\n")


def control(stage: Path, version: str, target: Path) -> Path:
    """The package's own files; where it will be."""
    debian = stage / "DEBIAN"
    debian.mkdir()
    major, minor = sys.version_info[:2]
    architecture = run("dpkg", "--print-architecture")
    size = sum(file.stat().st_size for file in stage.rglob("*") if file.is_file()) // 1024
    text = (ROOT / "debian/control.in").read_text()
    values = {
        "VERSION": version,
        "ARCHITECTURE": architecture,
        "SIZE": str(size),
        "PYTHON": f"python3 (>= {major}.{minor}~), python3 (<< {major}.{minor + 1})",
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    (debian / "control").write_text(text)
    for script in ("postinst", "prerm", "postrm"):
        shutil.copyfile(ROOT / "debian" / script, debian / script)
        (debian / script).chmod(0o755)
    return target / f"sensor-gateway_{version}_{architecture}.deb"


if __name__ == "__main__":
    main()
