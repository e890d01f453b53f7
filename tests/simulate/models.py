"""Bare MJCF models as people have them: what a first scene is suggested for, and what has no names."""

_LINK = '<geom type="capsule" size=".03" fromto="0 0 0 .4 0 0"/>'
# A servo arm whose sensible pose is a keyframe, without a delay of its commands and with one.
_SERVO = f"""
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <body name="link" pos="0 0 1"><joint name="hinge" axis="0 1 0" damping="0.5"/>{_LINK}</body>
  </worldbody>
  <actuator><position name="servo" joint="hinge" kp="40" kv="2" ctrlrange="-1.5 1.5" {{delay}}/></actuator>
  <keyframe><key name="straight"/><key name="home" qpos="-1.2" ctrl="-1.2" time="3"/></keyframe>
</mujoco>
"""
SERVO = _SERVO.format(delay="")
DELAYED = _SERVO.format(delay='delay="0.05" nsample="40"')
# Three links without names, two of them driven, one by an actuator of three inputs; as menagerie has them, no sensors.
ARM = f"""
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <body name="base"><joint name="base" axis="0 0 1" damping="1"/>{_LINK}
      <body name="upper" pos=".4 0 0"><joint name="" axis="0 1 0" damping="1" range="-60 60"/>{_LINK}
        <body pos=".4 0 0"><joint type="slide" axis="1 0 0" damping="5"/>{_LINK}</body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <pid name="p" joint="base" kp="20" input="pos vel ff"/>
    <motor name="m" joint="base" ctrlrange="-2 2"/>
  </actuator>
  <keyframe><key name="home" qpos=".5 .3 0.1" ctrl=".5 0 0 1"/></keyframe>
</mujoco>
"""
# A craft of four motors about a free joint without a name, and beside it a bob that hangs from a ball joint.
DRONE = """
<mujoco model="drone">
  <option timestep="0.005" integrator="RK4"/>
  <worldbody>
    <light pos="0 0 5"/>
    <geom type="plane" size="0 0 .05"/>
    <camera pos="-3 0 1" xyaxes="0 -1 0 0 0 1"/>
    <body name="craft" pos="0 0 .3">
      <freejoint/>
      <geom type="box" size=".15 .15 .02" mass=".5"/>
      <site name="imu"/>
      <site name="a" pos=".14 .14 0"/><site name="b" pos="-.14 .14 0"/>
      <site name="c" pos=".14 -.14 0"/><site name="d" pos="-.14 -.14 0"/>
    </body>
    <body name="bob" pos="1 0 2"><joint type="ball"/><geom size=".1" pos="0 0 -.5"/></body>
  </worldbody>
  <actuator>
    <motor site="a" gear="0 0 1 0 0 -.02" ctrlrange="0 13"/>
    <motor site="b" gear="0 0 1 0 0 .02" ctrlrange="0 13"/>
    <motor site="c" gear="0 0 1 0 0 .02" ctrlrange="0 13"/>
    <motor site="d" gear="0 0 1 0 0 -.02" ctrlrange="0 13"/>
  </actuator>
  <sensor><gyro site="imu"/><accelerometer name="acc" site="imu"/></sensor>
  <keyframe><key qpos="0 0 1 1 0 0 0 1 0 0 0" ctrl="1.2 1.2 1.2 1.2"/></keyframe>
</mujoco>
"""
