"""Small scenes for tests: their text, and plain MuJoCo beside them as an oracle."""

from pathlib import Path

import numpy as np

from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Episode
from worldmodel.simulate import Scene, load_scene
from worldmodel.simulate.model import mujoco as _mujoco

mujoco = _mujoco()  # it chooses how to draw off-screen, which a plain import would settle otherwise

# A puck that slides and spins on a table, pushed by two lagged motors; a second, turned site feels its forces.
# Its start is a number that float32 holds exactly, so an oracle can start there too.
PUCK_XML = """
<mujoco>
  <option timestep="0.005" integrator="implicitfast"/>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="above" pos="0 0 2.5"/>
    <geom type="plane" size="5 5 1" rgba=".3 .5 .3 1" contype="0" conaffinity="0"/>
    <body name="puck" pos="0 0 0.5">
      <joint name="x" type="slide" axis="1 0 0" stiffness="2" damping="0.4"/>
      <joint name="y" type="slide" axis="0 1 0" stiffness="3" damping="0.4"/>
      <joint name="spin" type="hinge" axis="0 0 1" damping="0.01"/>
      <geom type="box" size="0.3 0.15 0.1" mass="1" rgba=".9 .4 .1 1"/>
      <site name="imu" pos="0.1 0 0.05" euler="20 30 40"/>
    </body>
  </worldbody>
  <actuator>
    <general name="push_x" joint="x" dyntype="filterexact" dynprm="0.1" gainprm="1"/>
    <general name="push_y" joint="y" dyntype="filterexact" dynprm="0.1" gainprm="1"/>
    <general name="twist" joint="spin" dyntype="filterexact" dynprm="0.1" gainprm="0.05"/>
  </actuator>
  <sensor>
    <jointpos name="x" joint="x"/>
    <framepos name="position" objtype="site" objname="imu"/>
    <accelerometer name="accelerometer" site="imu"/>
    <gyro name="gyro" site="imu"/>
    <jointpos name="heading" joint="spin"/>
  </sensor>
</mujoco>
"""
PUCK_TOML = """
format = "worldmodel-scene"
version = 1
model = "model.xml"

[origin]
latitude = 47.25
longitude = 8.5
altitude = 500.0

[reset.x]
position = [0.25, 0.25]
velocity = [-0.5, -0.5]

[reset.spin]
velocity = [6.0, 6.0]

[streams.imu]
kind = "sensor"
sensors = ["accelerometer", "gyro"]
columns = ["ax", "ay", "az", "gx", "gy", "gz"]
rate_hz = 100
noise_std = [0.5, 0.5, 0.5, 0.1, 0.1, 0.1]
outages = { every_s = 3.0, seconds = [0.2, 0.6] }

[streams.heading]
kind = "sensor"
sensors = ["heading"]
units = "rad"
circular = [true]
rate_hz = 200
noise_std = 0.2

[streams.gps]
kind = "gps"
sensors = ["position"]
rate_hz = 10
noise_std = [0.5, 1.0, 2.0]
outages = { every_s = 4.0, seconds = [1.0, 2.0] }

[streams.push]
kind = "action"
actuators = ["push_y", "push_x"]
rate_hz = 20
[streams.push.excitation]
low = [-1.0, -2.0]
high = [3.0, 2.0]
hold_s = [0.1, 0.5]
smooth_s = 0.05

[streams.twist]
kind = "action"
actuators = ["twist"]
rate_hz = 50
[streams.twist.excitation]
low = -1.0
high = 1.0
hold_s = [0.1, 0.5]
"""
CAMERA = """
[streams.camera]
kind = "video"
camera = "above"
size = [16, 24]
rate_hz = 10
"""


def write_scene(folder: Path, toml: str = PUCK_TOML, xml: str = PUCK_XML) -> Path:
    """Writes a scene's two files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scene.toml").write_text(toml)
    (folder / "model.xml").write_text(xml)
    return folder


def puck(folder: Path, camera: bool = False) -> Scene:
    """The puck, with its camera or without."""
    return load_scene(write_scene(folder, PUCK_TOML + (CAMERA if camera else "")))


def streams_of(episode: Episode) -> dict[str, tuple[bytes, bytes]]:
    """What the streams and the truth of an episode hold, byte by byte."""
    streams = {**episode.streams, **{f"truth/{name}": s for name, s in episode.truth.items()}}
    return {name: (s.time.tobytes(), s.data.tobytes()) for name, s in streams.items()}


def metres(scene: Scene, fixes: np.ndarray) -> np.ndarray:
    """Latitude, longitude, altitude [M, 3] as the world's x, y, z."""
    return geodetic_to_enu(np.asarray(fixes, np.float64), scene.origin)


def by_hand(scene: Scene, episode: Episode, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A plain loop of MuJoCo from `start` under an episode's actions: sensors and states, a row a physics step.

    An action is in force from its time until that of the next.
    """
    model = mujoco.MjModel.from_xml_path(str(scene.model))
    data = mujoco.MjData(model)
    data.qpos, data.qvel, data.act = np.split(start, [model.nq, model.nq + model.nv])
    sensors, states = [], []
    for step in range(steps + 1):
        now = step * model.opt.timestep
        for stream in scene.streams:
            if stream.spec.kind == "action":
                given = episode.streams[stream.spec.name]
                force = given.data[np.flatnonzero(given.time <= now + 1e-9)[-1]]
                for actuator, value in zip(stream.sources, force, strict=True):
                    data.ctrl[model.actuator(actuator).id] = value
        mujoco.mj_forward(model, data)
        sensors.append(data.sensordata.copy())
        states.append(np.concatenate([data.qpos, data.qvel, data.act]))
        mujoco.mj_step(model, data)
    return np.array(sensors), np.array(states)


def sensor(scene: Scene, name: str) -> slice:
    """Where a sensor's values are among all of the model's."""
    found = mujoco.MjModel.from_xml_path(str(scene.model)).sensor(name)
    return slice(int(found.adr[0]), int(found.adr[0] + found.dim[0]))
