import csv
import itertools
import xml.etree.ElementTree as ET

from dgfnet.training.runlog import RunLog

SVG = "{http://www.w3.org/2000/svg}"


def rows(file):
    with open(file, newline="") as source:
        return list(csv.reader(source))


def test_means_are_logged_every_few_steps(tmp_path):
    log = RunLog(tmp_path / "log.csv", 0, every=2)
    assert log.add(1, 0.1, {"a": 1.0}) == {}
    assert log.add(2, 0.2, {"a": 3.0}) == {"a": 2.0}
    assert log.add(3, 0.3, {"a": 9.0}) == {}
    assert rows(tmp_path / "log.csv") == [["2", "0.2", "a", "2"]]


def test_resuming_drops_what_will_come_again_and_half_lines(tmp_path):
    (tmp_path / "log.csv").write_text("10,1.0,a,5\n20,2.0,a,4\n30,3.0,a,3\n40,4.")
    RunLog(tmp_path / "log.csv", 20).add(30, 3.1, {"a": 2.5})
    assert [row[3] for row in rows(tmp_path / "log.csv")] == ["5", "4", "2.5"]


def test_a_chart_per_loss(tmp_path):
    log = RunLog(tmp_path / "log.csv", 0, every=1)
    log.plot(tmp_path / "losses.svg")
    assert ET.parse(tmp_path / "losses.svg").getroot().tag.endswith("svg")  # of nothing yet
    for step in range(1, 1001):
        log.add(step, step / 10, {"fused hole": 1 / step, "style": 0.0, "none": float("nan")})
    log.plot(tmp_path / "losses.svg")
    root = ET.parse(tmp_path / "losses.svg").getroot()
    assert [t.text for t in root.iter(f"{SVG}text") if t.get("class")] == ["fused hole", "style", "none"]
    raw, smooth, *others = (line.get("d")[1:] for line in root.iter(f"{SVG}path") if line.get("stroke"))
    places = [tuple(map(float, dot.split())) for dot in raw.split("L")]
    assert 300 <= len(places) <= 400
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(places))  # falls: y grows downwards
    assert raw != smooth
    assert len(others) == 2
    assert not any("nan" in line for line in others)
