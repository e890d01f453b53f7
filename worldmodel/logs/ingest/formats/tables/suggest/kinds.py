"""What columns of some names are."""

import re
from typing import NamedTuple

_PLAIN = re.compile("acc|gyro|mag")  # what a stream is known by as what it is
_LETTERS = 2  # that tell nothing
_NUMBERED = re.compile(r"(?:_\d+)+$")  # as files of one sensor are, or dated
AXES = {"0": "x", "1": "y", "2": "z"}
# Of forces and accelerations `lat` is lateral and `long` longitudinal.
_NO_FORCE = r"(?:^|(?<!force)(?<!acc)(?<!accel)(?<!acceleration)(?<!\bg)(?<!_g)_)"
PLACE = re.compile(
    _NO_FORCE
    + r"(?P<axis>lat|lon|lng|long|alt|height|hmsl|elevation|breitengrad|l(?:ae|a|_)ngengrad|breite|laenge|hoehe"
    r"|breedtegraad|lengtegraad|hoogte)(?:itud(?:e|ine)?|gitud(?:e|ine)?|titud(?:e|ine)?)?"
    r"(?!_?(?:acc|g(?:_|$)|force))(?:_.*)?$|(?:^|_)gps_coord_(?P<place>[01])$"  # the latter of blackbox_decode
)
SIZES = re.compile(r"(?:^|_)(?:breite|laenge)(?:_|$)")  # which are places only where their values are
_ACCELERATION = r"acc(?:el(?:eration|erometer)?)?(?:meter)?|beschleunigung|g_?force|gf"
_TURNING = (
    r"gyro(?:scope)?|gyr|omega|rotation(?:_?rate)?|rate_of_rotation|angular_?(?:velocity|rate)|ang_?vel|drehrate"
    r"|winkelgeschwindigkeit"
)


class Kind(NamedTuple):
    """What columns of some names are.

    Attributes:
        pattern: of the name, lower case with underscores; `axis` is what tells its columns apart.
        stream: what the stream is called.
        kind: of the stream.
        unit: the SI unit, empty for none.
        columns: those that have to be there, in order.
    """

    pattern: re.Pattern[str]
    stream: str
    kind: str
    unit: str
    columns: tuple[str, ...] = ("x", "y", "z")


def _axes(words: str, short: str) -> re.Pattern[str]:
    last = r"(?:_?(?:rad|m_s2|adc|raw|filt|smooth|t|ga))?(?:_s)?"
    after, before = rf"(?:^|_)(?:{words}){last}_?(?P<axis>[xyz012])$", rf"^(?P<first>[xyz])_(?:{words})$"
    return re.compile(rf"{after}|{before}|^{short}_?(?P<letter>[xyz])$")


# `_rs_s` and `_rs_r` are frames, as EuRoC writes them: of the sensor to the reference, seen in one of these.
KINDS = (
    Kind(PLACE,
         "gps", "gps", "", ("latitude", "longitude", "altitude")),
    Kind(re.compile(r"(?:^|_)(?:q(?:_rs)?|quat(?:ernion)?|orientation|attitude|rotation)_?(?P<axis>[wxyz])$"),
         "attitude", "orientation", "", ("qw", "qx", "qy", "qz")),
    Kind(_axes(rf"(?:lin(?:ear)?_?)?(?:{_ACCELERATION})", "a(?:_rs_s)?"),
         "accelerometer", "sensor", "m/s^2"),
    Kind(_axes(_TURNING, "[gw](?:_rs_s)?"),
         "gyro", "sensor", "rad/s"),
    Kind(_axes(r"mag(?:netometer|netic_?(?:field|flux)?)?", "m"), "magnetometer", "sensor", "T"),
    Kind(re.compile(r"(?:^|_)pos(?:ition)?_?(?P<axis>[xyz])$|^[pt](?:_rs_r)?_?(?P<letter>[xyz])$"),
         "position", "position", "m"),
)  # fmt: skip


def unnumbered(name: str) -> str:
    """A name without the numbers at its end: `gyro` of `gyro_2024_05_01`."""
    return _NUMBERED.sub("", name)


def tells_nothing(name: str) -> bool:
    """Whether a name is too short to tell what it is of, as `m` of m1 to m4."""
    return len(name) <= _LETTERS


def called(name: str) -> str:
    """The stream of a sensor of axes x, y and z by its name, or its file's; empty where that tells nothing."""
    name = unnumbered(name)
    for kind in KINDS:
        match = kind.pattern.search(f"{name}_x")
        words = name[match.start() :].strip("_") if match else ""
        if not tells_nothing(words):
            return words if _PLAIN.search(words) else kind.stream
    return ""


ACTION = re.compile(
    r"(?:^|_)(?:cmd|command(?:ed)?|ctrl|control|action|throttle|thr|steer(?:ing)?|brake|motors?|pwm|(?:joy)?stick|joy|levers?(?!_arm)|(?:fahr|gas|brems)?pedals?|rc(?:_?command|in|out)?"
    r"|set_?point|sp|target|desired|servo|actuators?|relays?|valve|ventil|duty|rud(?:der)?|ele(?:vator)?|ail(?:eron)?|input|voltage_in)(?:\d+|_.*|$)|^u\d*$"
)
# What is called a command is one, whatever it is of; so is what lies in a struct or a topic that is called so, and what
# a controller puts out by the letters of process control: `TIC101.OUT`.
COMMANDS = re.compile(
    r"^(?!.*(?:measured|actual|feedback|applied|error|abweichung)).*(?:^|_)"
    r"(?:sp$|[a-z]{1,2}ic_?\d+[a-z]?_(?:out|op|mv|co)$|soll|fahrstufe|fahrhebel|consign[ae]|stell(?:wert|signal|gr)|\w+(?:soll(?:wert)?|vorgabe|anforderung)$"
    r"|(?:actions?|cmds?|command(?:s|ed)?|set_?points?|desired)(?:\d*$|_)|set_(?:vel|pos|speed|torque|value|current|volt|power|temp|pressure|flow)[a-z]*\d*$"
    r"|target_(?:joint|qd{0,2}|tcp|pose)s?(?:\d*$|_)"
    r"|(?:feed|speed|spindle|rapid)(?:_?rate)?_override$|(?:pitch|torque|speed|force|steer(?:ing)?|rudder|brake|throttle|gear)_(?:demand|request|order)(?:ed)?$)"
)
# By these words a name says what was wanted of what another column is of: `pitch_demand` beside `pitch_angle`.
WANTED = re.compile(r"target|goal|demand(?:ed)?|order(?:ed)?|request(?:ed)?|ref")
# But what is used up on demand is read, and the reference of a place may be where it was measured to be.
NOT_WANTED = re.compile(
    r"(?:^|_)(?:energy|power|load|heat|electricity|water|gas|peak)_(?:.*_)?demand"
    r"|^(?=(?:.*_)?ref(?:_|$))(?:.*_)?(?:[xyz]|q[wxyz]|pos(?:e|ition)?|lat|lon|alt|roll|pitch|yaw|heading)(?:_|$)"
)
NOT_ACTION = re.compile(r"angle|error|measured|actual|feedback|temp|current|rate$|speed|rpm|pos$|position")
# Of what drives a machine amperes, temperatures, powers and turns a minute are read, unless they are called wanted.
DRIVES = re.compile(
    r"^(?!(?:.*_)?(?:target|desired|sp|ctrl|control|input|u)\d*(?:_|$))"
    r"(?:.*_)?(?:motors?|servo|actuators?|relays?|valve|ventil)(?:_?\d+|_|$)"
)
READ_OF_DRIVES = ("A", "mA", "degC", "degF", "K", "W", "kW", "rpm")
# What is switched or opened is commanded where it is bare or in %: in other units it is read.
SWITCHED = re.compile(
    r"^(?!.*(?:flow|pressure|power|level|energy|state|status|fault|hours|count))"
    r"(?:.*_)?(?:heat(?:er|ing)|cool(?:er|ing|ant)|defrost|fan|pump|vent|damper|compressor|blower|mixer|agitator|stirrer|feeder)s?(?:_?\d+)?"
    r"(?:_(?:on|off|run|en|enabled?|open|opening|pct|percent|out|output))?$"
)
ANGLE = re.compile(r"(?:^|_)(?:roll|pitch|yaw|heading|course|bearing|hdg)$")
TURNED = re.compile(r"(?:^|_)(?:roll|pitch|yaw)$")
EULER = re.compile(r"(?:^|_)(?:euler|rpy)(?:_?angles?)?$")  # angles by their stream's name
# What turns with its frame is called yaw, heading or course (datasets/README.md).
DIRECTION = re.compile(r"yaw|heading|course|(?P<heading>(?:^|_)hdg[mt]?(?:$|_))|(?P<course>(?:^|_)cog(?:$|_))")
WRAPS = re.compile(r"(?:^|_)(?:yaw|heading|course|bearing|hdg)$")


COUNTER = re.compile(
    r"(?:^|_)(?:index|idx|iteration|loop_?iteration|counter|(?:sample|packet|record|data_?(?:point|set))(?:_?(?:id|no|num(?:ber)?))?"
    r"|seq(?:uence)?(?:_?(?:id|num(?:ber)?))?|row|frame_?(?:id|num(?:ber)?)?)$|^(?:id|rec)$"
)
VALID = re.compile(r"(?:^|_)(?:is_?)?valid$")
EPISODE = re.compile(r"^(?:episode|trial|run|rollout|trajectory|traj|session)(?:_?(?:id|index|idx|num(?:ber)?))?$")
