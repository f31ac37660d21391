# SPDX-License-Identifier: Apache-2.0
"""Videos decoded back: their steps, and known colours at known places."""

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2's rclpy is not installed")
pytest.importorskip("expo_ft_ros.msg", reason="the messages are not built")

from expo_ft_ros.cli import main as cli
from expo_ft_ros.cli.play import write_video
from expo_ft_ros.data.types import Source
from expo_ft_ros.monitor.paths import DRIVER_COLOURS, q_colours
from expo_ft_ros.recording.recorded_episode import read_recorded
from expo_ft_ros.report.scene import BADGE, HEIGHT, VERDICT, WIDTH, EpisodeScene, camera_places
from expo_ft_ros.robots import RobotLimits
from support.episodes import VIEWS
from support.recordings import COLOURS, SIDE, WRIST, choice, record
from support.runs import line, make_run

P, H, N = Source.POLICY, Source.HUMAN, Source.HOLD
SOURCES = [P, P, H, H, P, N]
WORST, MIDDLE, BEST = q_colours(np.array([0.1, 0.45, 0.8])).astype(int)
GREY = (140, 140, 140)
CHOICES = {
    # Along x the best and an edit, along y the worst; three later others, without values.
    0: choice((0, 1, 0), (0, 0.5, 0.5), (1, 0, 0), q=(0.1, 0.45, 0.8), edits=1, chosen=2),
    3: choice((0, -1, 0), q=(np.nan,)),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPO_FT_RUNS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    path = make_run(tmp_path / "a", [line(1, "rl")])
    record(path / "episodes", 1, SOURCES, CHOICES)
    return path


@pytest.fixture
def scene(run):
    recorded = read_recorded(run / "episodes" / "000001.mcap")
    return EpisodeScene(recorded, RobotLimits(), 10.0)


def decoded(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while (read := video.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    return frames, video.get(cv2.CAP_PROP_FPS)


def camera(image, view):
    left, top, side = camera_places(len(VIEWS))[VIEWS.index(view)]
    return image[top + side // 2, left + side // 2]


def badge(image):
    left, top, _, _ = BADGE
    return image[top + 4, left + 4]


def test_a_video_has_a_frame_a_step_at_the_tasks_rate(run, capfd):
    assert cli.main(["episodes", "play", "1"]) == 0
    out, err = capfd.readouterr()
    video = run / "videos" / "episode_000001.webm"
    assert out == f"6 steps of episode 1 of {run}: {video}\n"
    assert all(line.startswith("frames: ") for line in err.splitlines()), "its progress, if slow"
    frames, rate = decoded(video)
    assert (len(frames), rate) == (len(SOURCES), 10.0)
    for frame, source in zip(frames, SOURCES, strict=True):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        np.testing.assert_allclose(camera(frame, "side"), SIDE, atol=12)
        np.testing.assert_allclose(camera(frame, "wrist"), WRIST, atol=12)
        np.testing.assert_allclose(badge(frame), DRIVER_COLOURS[source], atol=12)
    assert not list(run.parent.glob(".*partial*"))


@pytest.mark.parametrize("views", [("a",), ("a", "b", "c"), ("a", "b", "c", "d")])
def test_a_frame_shows_every_view(tmp_path, views):
    recorded = read_recorded(record(tmp_path, 1, SOURCES, CHOICES, views=views))
    image = EpisodeScene(recorded, RobotLimits(), 10.0).frame(0)
    places = camera_places(len(views))
    for (left, top, side), colour in zip(places, COLOURS, strict=False):
        whole = image[top : top + side, left : left + side]
        assert whole.shape == (side, side, 3)
        assert (whole == colour).all()
    # One beside the other, and beside the candidates.
    edges = [edge for left, _, side in places for edge in (left, left + side)]
    assert edges == sorted(edges)
    assert 0 < edges[0] < edges[-1] < 830
    assert all(80 <= top <= top + side < 480 for _, top, side in places)


def near(image, place, colour):
    """Whether one of the pixels about a place has the colour, but for what smooth edges mix in."""
    column, row = place
    about = image[row - 1 : row + 2, column - 1 : column + 2].astype(int)
    return np.abs(about - np.array(colour)).max(axis=-1).min() < 40


def reached(velocity, steps):
    """How far a candidate of such a velocity takes the tool: 2.5 cm a step, at 0.25 m/s, 10 Hz."""
    return 0.025 * steps * np.array(velocity)


def test_paths_are_where_candidates_would_go_coloured_by_their_value(scene):
    image = scene.frame(0)
    middle = reached((0, 1, 0), 2.5), reached((0, 0.5, 0.5), 2.5)
    assert near(image, scene.pixel("above", middle[0]), WORST)
    assert not near(image, scene.pixel("above", middle[0]), BEST)
    assert near(image, scene.pixel("beside", middle[1]), MIDDLE)
    # Two steps further than it goes there is nothing.
    assert near(image, scene.pixel("above", reached((0, 1, 0), 3.9)), WORST)
    assert not near(image, scene.pixel("above", reached((0, 1, 0), 4.3)), WORST)


def test_the_chosen_one_is_thick_and_an_edit_is_dashed(scene):
    image = scene.frame(0)
    along = [reached((1, 0, 0), steps) for steps in np.linspace(0.5, 3.5, 60)]
    for view in ("above", "beside"):
        drawn = [near(image, scene.pixel(view, place), BEST) for place in along]
        assert 0.3 < np.mean(drawn) < 0.95
    # Beyond where another one lies over it.
    whole = [reached((0, 1, 0), steps) for steps in np.linspace(2.2, 3.8, 60)]
    assert all(near(image, scene.pixel("above", place), WORST) for place in whole)


def test_a_choice_replaces_the_one_before_it(scene):
    """It starts where the tool was then, and without a critic it is grey."""
    new = scene.pixel("above", reached((0, -1, 0), 2))
    old = scene.pixel("above", reached((0, 1, 0), 2))
    assert [near(scene.frame(s), new, GREY) for s in (0, 2, 3, 5)] == [False, False, True, True]
    assert [near(scene.frame(s), old, WORST) for s in (0, 2, 3, 5)] == [True, True, False, False]


def test_frames_can_be_drawn_in_any_order(scene):
    last, first = scene.frame(5), scene.frame(0)
    np.testing.assert_array_equal(scene.frame(5), last)
    np.testing.assert_array_equal(scene.frame(0), first)


def test_where_the_tool_was_is_coloured_by_who_drove(scene):
    image = scene.frame(5)
    for step in (0, 3):
        # The newest choice was on step 3.
        place = np.array([0.01 * (step + 0.5 - 3), 0, 0])
        colour = image[scene.pixel("beside", place)[::-1]]
        assert tuple(colour) == DRIVER_COLOURS[SOURCES[step]]


def test_a_frame_says_what_the_classifier_said(scene):
    x, y = VERDICT
    first, later, last = (scene.frame(s)[y - 8 : y + 8, x : x + 300] for s in (0, 3, 5))
    assert (first < 80).any()
    np.testing.assert_array_equal(later, first)
    # Only the last step was followed by success.
    assert (last != first).any()


def test_an_episode_without_a_policy_can_be_played(run, capsys):
    record(run / "episodes", 2, [H, H, H], stage="collect")
    assert cli.main(["episodes", "play", "2", "a", "output:=two.webm"]) == 0
    assert len(decoded("two.webm")[0]) == 3


def test_of_a_file_that_was_cut_off_the_whole_steps_are_played(run):
    record(run / "episodes", 3, SOURCES, CHOICES, ended=False)
    assert cli.main(["episodes", "play", "3"]) == 0
    assert len(decoded(run / "videos" / "episode_000003.webm")[0]) == len(SOURCES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: number"),
        (["x"], "'x' is not an episode's number"),
        (["9"], "no such episode (see expo-ft episodes list"),
        (["1", "lost"], "no run there"),
        (["1", "output:=a.mp4"], "a.mp4 is not a .webm"),
        (["1", "output:=no/such/a.webm"], "can't be written: No such file or directory"),
        (["4"], "000004.mcap"),
    ],
)
def test_mistakes_are_one_line(run, words, message, capsys):
    (run / "episodes" / "000004.mcap").write_bytes(b"no bag at all")
    assert cli.main(["episodes", "play", *words]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not list(run.parent.rglob("*.webm"))


def test_a_video_that_fails_leaves_no_file(tmp_path):
    def frames():
        yield np.zeros((64, 64, 3), np.uint8)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_video(tmp_path / "a.webm", frames(), 10)
    assert list(tmp_path.iterdir()) == []
