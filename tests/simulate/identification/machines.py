"""A small pendulum, its MJCF as people write it, and logs of it."""

from pathlib import Path

from tests.simulate.scenes import write_scene
from worldmodel.simulate import simulate

XML = """<!-- a pendulum on a motor -->
<mujoco model="swing">
  <option timestep="0.005" integrator="implicitfast"/>
  <worldbody>
    <!-- the arm hangs down -->
    <body name="arm">
      <joint name="pivot" axis="0 1 0" damping="{damping}" frictionloss="{friction}"/>
      <geom name="rod" type="capsule" fromto="0 0 0 0 0 -0.5" size="0.02" mass="{mass}"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="pivot" ctrlrange="-3 3"/></actuator>
</mujoco>
"""
TOML = """# what is recorded
format = "worldmodel-scene"
version = 1
model = "model.xml"

[reset.pivot]
position = [-1.5, 1.5]
velocity = [-2.0, 2.0]

[streams.angle] # of the encoder
kind = "sensor"
sensors = ["jointpos:pivot"]
units = "rad"
rate_hz = 100
noise_std = 0.001

[streams.speed]
kind = "sensor"
sensors = ["jointvel:pivot"]
units = "rad/s"
rate_hz = 100
noise_std = 0.02

[streams.torque]
kind = "action"
actuators = ["motor"]
units = "N*m"
rate_hz = 100
{delay}
[streams.torque.excitation]
low = -2.5
high = 2.5
hold_s = [0.1, 0.5]
smooth_s = 0.02
"""
TRUE = XML.format(mass=1.0, damping=0.05, friction=0.1)
ROUGH = XML.format(mass=0.6, damping=0.05, friction=0)  # 40 % wrong, and no friction


def scene(folder: Path, xml: str = ROUGH, delay: str = "", toml: str = TOML) -> Path:
    """A scene's folder."""
    return write_scene(folder, toml.replace("{delay}", delay), xml)


def log(folder: Path, episodes: int = 5, seed: int = 0, toml: str = TOML, **changed: object) -> Path:
    """A log of the true machine, whose torque acts 8 ms late."""
    true = scene(folder / "true", TRUE, "delay_s = 0.008", toml)
    return simulate(
        str(true), folder / f"log{seed}.h5", episodes=episodes, seconds=2.0, seed=seed, progress=False, **changed
    )
