"""Tracks by gpxpy, and KML and NMEA 0183 by their rules, against what went into them."""

import contextlib
import datetime
import io
import math
import zipfile
from functools import reduce

import gpxpy.gpx
import numpy as np
import pynmeagps
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import tracks
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant
from worldmodel.logs.reader import Log

BEGAN = datetime.datetime(2024, 5, 17, 9, 30, tzinfo=datetime.UTC)
KNOT = 1852 / 3600


def read(path):
    assert claimant(path) == "tracks"
    return list(tracks.read(path, Options()))


def write(path, text):
    path.write_text(text)
    return path


def write_gpx(path, segments=2, version="1.1", timed=True):
    """Segments of 20 points a second apart, 60 s between them, north at about 1.1 m/s; two points have no fix."""
    gpx = gpxpy.gpx.GPX()
    gpx.tracks.append(gpxpy.gpx.GPXTrack("ride"))
    gpx.waypoints.append(gpxpy.gpx.GPXWaypoint(45, 7))
    for segment in range(segments):
        gpx.tracks[0].segments.append(gpxpy.gpx.GPXTrackSegment())
        for i in range(20):
            point = gpxpy.gpx.GPXTrackPoint(45 + i * 1e-5, 7.5, 200 + i, horizontal_dilution=0.9)
            point.time = BEGAN + datetime.timedelta(seconds=80 * segment + i) if timed else None
            point.speed, point.course, point.satellites, point.type_of_gpx_fix = 1.1, 90.0, 11, "3d"
            if segment == 0 and i in (0, 1):
                point.latitude, point.longitude, point.type_of_gpx_fix = 0, 0, "none"
            gpx.tracks[0].segments[-1].points.append(point)
    return write(path, gpx.to_xml(version))


def test_gpx(tmp_path):
    path = write_gpx(tmp_path / "ride.gpx", version="1.0")
    first, second = read(path)
    gps, spec = first.samples["gps"], first.specs["gps"]
    assert spec.columns == ("latitude", "longitude", "altitude", "speed", "course", "fix_quality", "satellites", "hdop")
    assert spec.units == ("deg", "deg", "m", "m/s", "rad", "", "", "")
    np.testing.assert_allclose(gps.time, np.arange(18))
    expected = [45.00002, 7.5, 202, 1.1, math.pi / 2, 1, 11, 0.9]
    np.testing.assert_allclose(gps.data[0], expected, rtol=1e-12)
    assert first.origin_utc == BEGAN.timestamp() + 2
    assert second.origin_utc == BEGAN.timestamp() + 80
    assert first.notes == ["left out of the track: 1 waypoints", "gps: 2 of 20 rows are no fix and are left out"]
    with open(path) as file:
        oracle = gpxpy.parse(file).tracks[0].segments[1].points
    np.testing.assert_array_equal(
        second.samples["gps"].data[:, :4], [(p.latitude, p.longitude, p.elevation, p.speed) for p in oracle]
    )


def test_a_gpx_file_goes_into_a_log(tmp_path):
    ingest(write_gpx(tmp_path / "ride.gpx", version="1.0"), tmp_path / "log.h5", progress=False)
    assert [episode.name for episode in Log(tmp_path / "log.h5").episodes] == ["ride.gpx:1", "ride.gpx:2"]


def test_extensions_of_gpx(tmp_path):
    point = (
        '<trkpt lat="45" lon="7"><time>{}</time><extensions><gpxtpx:TrackPointExtension><gpxtpx:hr>{}</gpxtpx:hr>'
        "<gpxtpx:speed>3.5</gpxtpx:speed><gpxtpx:bearing>180</gpxtpx:bearing></gpxtpx:TrackPointExtension>"
        "<mode>walk</mode></extensions></trkpt>"
    )
    points = point.format("2024-05-17T09:30:00.500+02:00", 120) + point.format("2024-05-17T07:30:01.5", 121)
    (recording,) = read(write(tmp_path / "a.gpx", f"<gpx xmlns:gpxtpx='x'><trk><trkseg>{points}</trkseg></trk></gpx>"))
    np.testing.assert_allclose(recording.samples["gps"].data[:, 3:], [[3.5, math.pi]] * 2)
    np.testing.assert_allclose(recording.samples["gps"].time, [0, 1])
    np.testing.assert_allclose(recording.samples["track_data"].data, [[120], [121]])
    assert recording.notes == ["left out of the track: 2 words in mode"]


def test_tracks_without_times_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="no fix with a time"):
        read(write_gpx(tmp_path / "ride.gpx", timed=False))
    line = "<kml><Placemark><LineString><coordinates>7,45 7,46</coordinates></LineString></Placemark></kml>"
    with pytest.raises(RecipeError, match="1 lines without times"):
        read(write(tmp_path / "line.kml", line))


def test_a_torn_file_gives_what_it_has(tmp_path):
    path = write_gpx(tmp_path / "ride.gpx")
    text = path.read_text()
    _, second = read(write(path, text[: text.index('lat="45.0001"', len(text) // 2)]))
    assert len(second.samples["gps"].time) == 10
    with pytest.raises(RecipeError, match="cannot be read as a track"):
        read(write(path, text.replace("</ele>", "</elf>", 1)))


def test_no_entity_is_expanded(tmp_path):
    bomb = '<!DOCTYPE gpx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><gpx><trk><name>&b;</name></trk></gpx>'
    with pytest.raises(RecipeError, match="declares a document type"):
        read(write(tmp_path / "bomb.gpx", f'<?xml version="1.0"?>{bomb}'))
    with pytest.raises(RecipeError, match="deep"):
        read(write(tmp_path / "deep.gpx", "<gpx>" + "<a>" * 100))


KML = """<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2"><Placemark><name>Walk</name>
<gx:MultiTrack><gx:Track>
<when>2024-05-17T09:30:00Z</when><when>2024-05-17T09:30:01.25Z</when><when>2024-05-17T09:30:02Z</when>
<gx:coord>7.5 45 200</gx:coord><gx:coord>7.6 45.1 201</gx:coord><gx:coord></gx:coord>
<ExtendedData><SchemaData><gx:SimpleArrayData name="cadence"><gx:value>86</gx:value><gx:value>87</gx:value><gx:value>88
</gx:value></gx:SimpleArrayData></SchemaData></ExtendedData>
</gx:Track></gx:MultiTrack></Placemark></kml>"""


@pytest.mark.parametrize("name", ["walk.kml", "walk.kmz"])
def test_kml(tmp_path, name):
    path = tmp_path / name
    if name == "walk.kmz":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("doc.kml", KML)
    else:
        path.write_text(KML)
    (recording,) = read(path)
    np.testing.assert_allclose(recording.samples["gps"].time, [0, 1.25])
    np.testing.assert_allclose(recording.samples["gps"].data, [[45, 7.5, 200], [45.1, 7.6, 201]])
    np.testing.assert_allclose(recording.samples["track_data"].data, [[86], [87]])
    assert recording.origin_utc == BEGAN.timestamp()
    assert recording.notes == ["gps: 1 of 3 rows are no fix and are left out"]


def placemark(minute, place):
    when = f"<TimeStamp><when>2024-05-17T09:{minute:02d}:00Z</when></TimeStamp>"
    return f"<Placemark>{when}<Point><coordinates>{place}</coordinates></Point></Placemark>"


def test_points_with_times_are_a_track_where_there_is_none(tmp_path):
    """As a satellite tracker tells them; a mark at the start of a track is none of its fixes."""
    marks = placemark(30, "7.5,45,200") + placemark(40, "7.51,45.01,210")
    nowhere = "<Placemark><name>home</name><Point><coordinates>7,45,0</coordinates></Point></Placemark>"
    (recording,) = read(write(tmp_path / "a.kml", f"<kml><Document>{marks}{nowhere}</Document></kml>"))
    np.testing.assert_allclose(recording.samples["gps"].data, [[45, 7.5, 200], [45.01, 7.51, 210]])
    np.testing.assert_allclose(recording.samples["gps"].time, [0, 600])
    assert recording.notes == ["left out of the track: 1 points"]
    (walk,) = read(write(tmp_path / "b.kml", KML.replace("</Placemark></kml>", f"</Placemark>{marks}</kml>")))
    assert "left out of the track: 2 points" in walk.notes
    assert len(walk.samples["gps"].time) == 2


def test_points_of_kml_may_have_spans_of_time(tmp_path):
    span = "<TimeSpan><begin>2024-05-17T09:30:{0}Z</begin><end>2024-05-17T09:30:{1}Z</end></TimeSpan>"
    point = "<Point><coordinates>7.5,{},200</coordinates></Point>"
    marks = "".join(f"<Placemark>{span.format(10 * i, 10 * i + 9)}{point.format(45 + i)}</Placemark>" for i in (1, 2))
    (recording,) = read(write(tmp_path / "a.kml", f"<kml><Document>{marks}</Document></kml>"))
    np.testing.assert_allclose(recording.samples["gps"].time, [0, 10])
    np.testing.assert_allclose(recording.samples["gps"].data[:, 0], [46, 47])


def sentence(content):
    return f"${content}*{reduce(lambda total, char: total ^ ord(char), content, 0):02X}\r\n"


def gga(clock, quality=1, place="4530.0000,N,00730.0000,W"):
    return sentence(f"GNGGA,{clock},{place},{quality},11,0.8,200.5,M,47.0,M,,")


def rmc(clock, date, status="A"):
    return sentence(f"GNRMC,{clock},{status},4530.0000,N,00730.0000,W,10.0,090.0,{date},,,A")


def test_of_two_receivers_in_one_log_the_first_counts(tmp_path):
    lines = [rmc(f"09300{i}.00", "170524") + gga(f"09300{i}.00") for i in range(9)]
    others = [sentence(f"GPRMC,09300{i}.00,A,4600.0000,N,00730.0000,W,99.0,180.0,170524,,,A") for i in range(9)]
    (recording,) = read(write(tmp_path / "a.nmea", "".join(map("".join, zip(lines, others, strict=True)))))
    gps, spec = recording.samples["gps"].data, recording.specs["gps"]
    np.testing.assert_allclose(gps[:, 0], 45.5)
    np.testing.assert_allclose(gps[:, spec.columns.index("speed")], 10 * KNOT)
    assert any("9 sentences of another receiver" in note for note in recording.notes)


def test_sentences_of_one_time_are_a_fix(tmp_path):
    lines = [
        sentence("GNVTG,45.0,T,,M,99.0,N,1.0,K,A"),  # of a time that is not told
        gga("235958.50"),
        sentence("GNVTG,180.0,T,,M,20.0,N,37.0,K,A"),
        sentence("GPGSA,A,3,01,02,03,,,,,,,,,,1.5,0.9,1.2"),
        rmc("235959.00", "170524"),
        sentence("GNVTG,180.0,T,,M,20.0,N,37.0,K,A"),
        gga("235959.00"),
        gga("000000.50", quality=4),
        gga("000001.00", quality=0),
        gga("000002.00", place=",,,"),
        sentence("GPGSV,1,1,01,01,45,090,40"),
        gga("000003.00").replace("200.5", "300.5"),
        "not a sentence\n",
    ]
    (recording,) = read(write(tmp_path / "log.nmea", "".join(lines)))
    gps = recording.samples["gps"]
    np.testing.assert_allclose(gps.time, [0, 0.5, 2.0])
    east, south = math.pi / 2, math.pi
    np.testing.assert_allclose(gps.data[:2, :3], [[45.5, -7.5, 200.5]] * 2)
    np.testing.assert_allclose(gps.data[:2, 3:], [[20 * KNOT, south, 1, 11, 0.8], [10 * KNOT, east, 1, 11, 0.8]])
    assert gps.data[2, 5] == 4
    began = datetime.datetime(2024, 5, 17, 23, 59, 58, 500_000, tzinfo=datetime.UTC)
    assert recording.origin_utc == began.timestamp()
    left = "left out of the track: 1 GSV, 1 lines that are no sentence, 1 damaged sentences"
    assert recording.notes == [left, "gps: 2 of 5 rows are no fix and are left out"]


def test_values_are_those_of_the_library(tmp_path):
    text = gga("093000.00", place="4807.038,S,01131.000,E") + rmc("093000.00", "170524")
    (recording,) = read(write(tmp_path / "log.txt", text))
    oracle = pynmeagps.NMEAReader.parse(text.splitlines()[0])
    np.testing.assert_array_equal(recording.samples["gps"].data[0, :3], [oracle.lat, oracle.lon, oracle.alt])
    assert oracle.lat == pytest.approx(-48.1173)


def test_dates_come_from_zda_and_may_be_missing(tmp_path):
    zda = sentence("GNZDA,093000.00,17,05,2024,00,00")
    (recording,) = read(write(tmp_path / "a.log", gga("093000.00") + zda + rmc("093001.00", "060180", "V")))
    assert (recording.origin_utc, len(recording.samples["gps"].time)) == (BEGAN.timestamp(), 1)
    (recording,) = read(write(tmp_path / "b.log", gga("235959.00") + gga("000001.00")))
    assert math.isnan(recording.origin_utc)
    np.testing.assert_allclose(recording.samples["gps"].time, [0, 2])


def test_sentences_after_bytes_of_another_protocol_are_read(tmp_path):
    lines = [gga(f"1030{i:02d}.00").encode() for i in range(20)]
    binary = b"\xb5b\x01\x07\x5c\x00$,,\x01" + b"," * 90
    (tmp_path / "log.nmea").write_bytes(b"".join(line if i % 4 else binary + line for i, line in enumerate(lines)))
    (recording,) = read(tmp_path / "log.nmea")
    assert len(recording.samples["gps"].time) == 20


@pytest.mark.parametrize(
    ("before", "after"), [("1715938200.123,", ""), ("NMEA,", ",1715938200000"), ("2024-05-17T09:30:00.1Z ", "")]
)
def test_stamps_of_loggers_beside_sentences_are_passed_over(tmp_path, before, after):
    lines = [line.rstrip() for i in range(9) for line in (gga(f"09300{i}.00"), rmc(f"09300{i}.00", "170524"))]
    text = "".join(f"{before}{line}{after}\n" for line in lines)
    (recording,) = read(write(tmp_path / "log.txt", text))
    np.testing.assert_allclose(recording.samples["gps"].time, range(9))
    assert not recording.notes


def test_sentences_without_checksums_are_read_and_told_and_torn_ones_left_out(tmp_path):
    lines = [gga(f"09300{i}.00").split("*")[0] for i in range(9)]
    text = "\n".join([*lines, "$GNGGA,093009.00,4530.0000,N,00730.0000"])
    (recording,) = read(write(tmp_path / "a.nmea", text))
    assert len(recording.samples["gps"].time) == 9
    assert "no checksums" in recording.notes[0]
    assert recording.notes[1] == "left out of the track: 1 damaged sentences"
    checked = gga("093000.00") + "\n".join([*lines[1:], ""])  # whose checksums were torn off
    (recording,) = read(write(tmp_path / "b.nmea", checked))
    assert len(recording.samples["gps"].time) == 1


def test_a_first_sentence_that_is_torn_does_not_tell_that_none_has_a_checksum(tmp_path):
    torn = gga("093000.00").split("*")[0] + "\n"
    text = torn + gga("093001.00") + torn.replace("093000", "093002") + gga("093003.00")
    (recording,) = read(write(tmp_path / "a.nmea", text))
    np.testing.assert_allclose(recording.samples["gps"].time, [0, 2])
    assert recording.notes == ["left out of the track: 2 damaged sentences"]


def test_tables_are_not_claimed(tmp_path):
    for text in ("t,x\n0,1\n", "", "$GPGGA", "<html></html>", "PK\x03\x04"):
        assert not tracks.claims(write(tmp_path / "a.csv", text))


SOURCES = {
    "a.gpx": lambda path: write_gpx(path, segments=1),
    "a.kml": lambda path: write(path, KML),
    "a.nmea": lambda path: write(path, gga("093000.00") + rmc("093000.00", "170524") + gga("093001.00")),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(SOURCES)), at=st.integers(0, 1200), value=st.integers(0, 255), cut=st.booleans())
def test_damage_ends_in_a_named_error(tmp_path, name, at, value, cut):
    path = SOURCES[name](tmp_path / name)
    content = bytearray(path.read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content[:at] if cut else content)
    tracks.claims(path)
    with contextlib.suppress(WorldModelError):
        assert list(tracks.read(path, Options()))


def test_an_archive_of_nothing_is_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("picture.png", b"")
    (tmp_path / "a.kmz").write_bytes(packed.getvalue())
    with pytest.raises(RecipeError, match="without a KML file"):
        read(tmp_path / "a.kmz")
