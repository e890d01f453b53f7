"""Installs what off-screen rendering and OpenCV need of the system, or says which command does.

Exit status 0 if both work in the end. The question is put to MuJoCo and OpenCV themselves: a library may be there
under any package's name.
"""

import os
import shutil
import subprocess
import sys

# Debian and Ubuntu; newer releases take libglib2.0-0 for libglib2.0-0t64.
PACKAGES = ("libegl1", "libgl1", "libgl1-mesa-dri", "libglib2.0-0")
UPDATE = ("apt-get", "update")
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", *PACKAGES)
CHECKS = {
    "OpenCV": "import cv2",
    "off-screen rendering": "import mujoco\n"
    "with mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8) as renderer: renderer.render()",
}


def lacking() -> list[str]:
    """What does not work here yet. A process for each: a library that failed to load is not tried again in the same."""
    env = {"MUJOCO_GL": "egl", **os.environ}
    run = {
        name: subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
        for name, code in CHECKS.items()
    }
    return [name for name, process in run.items() if process.returncode]


def install() -> None:
    """Installs the packages; a failure shows in the check that follows, with apt's last words."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (UPDATE, INSTALL):
        process = subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if process.returncode:
            print("\n".join(process.stderr.splitlines()[-2:]), file=sys.stderr)


def main() -> int:
    """Checks, installs where it may, checks again."""
    if not sys.platform.startswith("linux"):
        return 0  # elsewhere rendering and OpenCV come with the system and the wheels
    missing = lacking()
    apt = shutil.which("apt-get") is not None
    if missing and apt and os.geteuid() == 0:
        print(f"Installing {' '.join(PACKAGES)}", flush=True)
        install()
        missing = lacking()
    if not missing:
        return 0
    by_hand = (
        f"run: sudo {' '.join(UPDATE)} && sudo {' '.join(INSTALL)}"
        if apt
        else f"install what Debian calls {' '.join(PACKAGES)}"
    )
    print(f"System libraries are missing for {' and '.join(missing)}; {by_hand}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
