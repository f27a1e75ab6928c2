"""Names, remapping and the command line of the standalone subset."""

from __future__ import annotations

import pytest

from uois_sam_ros.errors import RosError
from uois_sam_ros.ros.standalone import names
from uois_sam_ros.ros.standalone.arguments import Arguments, parse


@pytest.mark.parametrize("name, namespace, expected", [
    ("label", "/", "/label"), ("label", "/cam", "/cam/label"), ("/label", "/cam", "/label"),
    ("~/label", "/", "/n/label"), ("~/label", "/cam", "/cam/n/label"), ("~", "/cam", "/cam/n"),
    ("a/b", "/x/y", "/x/y/a/b"),
])
def test_names_expand(name, namespace, expected):
    assert names.expand(name, namespace, "n") == expected


@pytest.mark.parametrize("name", ["", "/", "a b", "a//b", "a/", "1a", "a-b", "~x", "a/2"])
def test_wrong_names_are_refused(name):
    with pytest.raises(RosError, match="name: expected parts of letters"):
        names.expand(name, "/", "n")


@pytest.mark.parametrize("name", ["", "a b", "1a", "a/b", "a-b"])
def test_wrong_node_names_are_refused(name):
    with pytest.raises(RosError, match=f"node name: expected .* got '{name}'"):
        names.check_node_name(name)


@pytest.mark.parametrize("namespace, expected", [
    (None, "/"), ("", "/"), ("/", "/"), ("cam", "/cam"), ("/a/b/", "/a/b")])
def test_namespaces(namespace, expected):
    assert names.normalize_namespace(namespace) == expected


def test_wrong_namespace_is_refused():
    with pytest.raises(RosError, match="namespace"):
        names.normalize_namespace("/a b")


def test_remapping_compares_absolute_names():
    rules = [("color", "/rgb"), ("~/label", "masks"), ("/cam/depth", "~/d")]
    found = [names.remap(name, rules, "/cam", "n") for name in ("/cam/color", "/cam/n/label", "depth", "other")]
    assert found == ["/rgb", "/cam/masks", "/cam/n/d", "/cam/other"]


def test_dds_names():
    assert names.dds_topic("/cam/label") == "rt/cam/label"
    assert names.dds_service_topics("/n/go") == ("rq/n/goRequest", "rr/n/goReply")
    assert names.dds_type("std_msgs/msg/String") == "std_msgs::msg::dds_::String_"
    assert names.ros_type("std_msgs::msg::dds_::String_") == "std_msgs/msg/String"
    assert names.ros_type("Other::Type") == "Other::Type"
    assert [names.ros_topic(topic) for topic in ("rt/a", "rq/aRequest", "DCPSTopic")] == ["/a", None, None]


def test_only_ros_args_count():
    words = ["program", "-r", "x", "--ros-args", "-r", "a:=b", "--", "-p", "y", "--ros-args", "-p", "c:=1"]
    found = parse(words)
    assert found.remaps_of("n") == [("a", "b")] and found.parameters_of("/", "n") == {"c": 1}
    assert parse(["program"]) == Arguments()


def test_rules_for_one_node():
    found = parse(["--ros-args", "-r", "n:a:=b", "-r", "m:a:=c", "-p", "n:x:=1", "-p", "m:x:=2", "-p", "y:=3"])
    assert found.remaps_of("n") == [("a", "b")]
    assert found.parameters_of("/any", "n") == {"x": 1, "y": 3}


@pytest.mark.parametrize("text, value", [
    ("1", 1), ("1.5", 1.5), ("true", True), ("word", "word"), ("'1'", "1"), ("[1, 2]", [1, 2]), ("", ""),
    ("/camera/color", "/camera/color"),
])
def test_parameter_values_are_yaml(text, value):
    assert parse(["--ros-args", "-p", f"x:={text}"]).parameters_of("/", "n") == {"x": value}


@pytest.mark.parametrize("pattern, matches", [
    ("/**", True), ("/cam/n", True), ("/*/n", True), ("/**/n", True), ("/cam/*", True), ("cam/n", True),
    ("/n", False), ("/*", False), ("/cam", False), ("/cam/other", False), ("/**/other", False),
])
def test_patterns_of_parameter_files(tmp_path, pattern, matches):
    path = tmp_path / "p.yaml"
    path.write_text(f"{pattern}:\n  ros__parameters:\n    a: 1\n    b:\n      c: 2\n")
    found = parse(["--ros-args", "--params-file", str(path)]).parameters_of("/cam", "n")
    assert found == ({"a": 1, "b.c": 2} if matches else {})


def test_nested_namespaces_of_parameter_files(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("cam:\n  n:\n    ros__parameters: {a: 1}\n  m:\n    ros__parameters: {a: 2}\n")
    arguments = parse(["--ros-args", "--params-file", str(path), "-p", "b:=3"])
    assert arguments.parameters_of("/cam", "n") == {"a": 1, "b": 3}


def test_later_settings_win(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("/**:\n  ros__parameters: {a: 1}\n")
    words = ["-p", "a:=2", "--params-file", str(path)]
    assert parse(["--ros-args", *words]).parameters_of("/", "n") == {"a": 1}
    assert parse(["--ros-args", *words[2:], *words[:2]]).parameters_of("/", "n") == {"a": 2}


def test_log_levels():
    found = parse(["--ros-args", "--log-level", "warn", "--log-level", "cam.n:=DEBUG", "--disable-rosout-logs",
                   "-e", "/enclave"])
    assert found.log_levels == (("", 30), ("cam.n", 10))


@pytest.mark.parametrize("words, match", [
    (["-r", "a=b"], "-r: expected name:=value, got 'a=b'"),
    (["-r"], "-r: expected name:=value, got ''"),
    (["-p", ":=1"], "-p: expected name:=value, got ':=1'"),
    (["-p", "x:=[1"], "-p x: expected a YAML value"),
    (["--log-level", "loud"], "--log-level: expected debug, info.* got 'loud'"),
    (["--params-file", "/no/such.yaml"], "--params-file: expected a readable YAML file, got '/no/such.yaml'"),
    (["--what"], "expected -r, -p, --params-file or --log-level, got '--what'"),
])
def test_wrong_arguments_are_refused(words, match):
    with pytest.raises(RosError, match=match):
        parse(["--ros-args", *words])


@pytest.mark.parametrize("content, match", [
    ("- a", "expected nodes with ros__parameters, got list"),
    ("a: 1", "expected a mapping below 'a', got 1"),
    ("a: {b: {}}", "expected ros__parameters below a node's name, got none"),
    ("a: [", "expected a readable YAML file"),
])
def test_wrong_parameter_files_are_refused(tmp_path, content, match):
    path = tmp_path / "p.yaml"
    path.write_text(content)
    with pytest.raises(RosError, match=match):
        parse(["--ros-args", "--params-file", str(path)])
