"""Timers, services and callback groups, as the node relies on them in ``ros/api.py``."""

from __future__ import annotations

import functools
import threading
import time

from apirig import TIMEOUT_S, TRIGGER, Inbox, joined, node, peer  # noqa: F401 (fixtures)
from rosgraph import wait_for

from uois_sam_ros.ros import api


def test_timer_calls_until_it_is_cancelled(node):
    ticks, other = [], []

    def tick():
        ticks.append(time.monotonic())
        if len(ticks) == 10:
            timer.cancel()

    timer = node.create_timer(0.01, tick)
    assert wait_for(lambda: len(ticks) >= 10)
    assert ticks[9] - ticks[0] >= 0.07, "nine periods, but for the lateness of the first"
    node.create_timer(0.05, lambda: other.append(1))
    assert wait_for(lambda: len(other) >= 3)
    assert len(ticks) == 10
    assert node.destroy_timer(timer)


def trigger_service(node, name, answer, **options):
    def callback(request, response):
        response.success, response.message = answer()
        return response
    return node.create_service(api.service(TRIGGER), name, callback, **options)


def test_service_is_called_from_another_process(node, peer):
    trigger_service(node, "~/segment", lambda: (True, "7 objects"))
    assert peer(TRIGGER, "/cell/tested/segment") == {"success": True, "message": "7 objects"}
    assert peer(TRIGGER, "/cell/tested/none", timeout_s=0.3) == "no such service"


def test_own_client_and_service(node):
    trigger_service(node, "~/own", lambda: (False, "não"))
    client = node.create_client(api.service(TRIGGER), "~/own")
    assert client.wait_for_service(timeout_sec=TIMEOUT_S)
    done, found = threading.Event(), []
    futures = [client.call_async(api.service(TRIGGER).Request()) for _ in range(5)]
    for future in futures:
        future.add_done_callback(lambda future: (found.append(future.result().message), len(found) == 5 and done.set()))
    assert done.wait(TIMEOUT_S) and found == ["não"] * 5
    assert all(future.done() for future in futures)
    node.destroy_client(client)


def test_clients_get_their_own_answers(node):
    kind, answers, done = api.service("std_srvs/srv/SetBool"), {True: [], False: []}, threading.Event()

    def serve(request, response):
        response.message = str(request.data)
        return response

    def keep(sent, future):
        answers[sent].append(future.result().message)
        if len(answers[True]) == len(answers[False]) == 3:
            done.set()

    node.create_service(kind, "~/shared", serve)
    clients = {sent: node.create_client(kind, "~/shared") for sent in (True, False)}
    assert all(client.wait_for_service(timeout_sec=TIMEOUT_S) for client in clients.values())
    for _ in range(3):
        for sent, client in clients.items():
            client.call_async(kind.Request(data=sent)).add_done_callback(functools.partial(keep, sent))
    assert done.wait(TIMEOUT_S) and answers == {True: ["True"] * 3, False: ["False"] * 3}


def test_blocking_service_does_not_stop_subscriptions_and_timers(node, peer):
    kind, entered, gate = "sensor_msgs/msg/CameraInfo", threading.Event(), threading.Event()

    def block():
        entered.set()
        return gate.wait(TIMEOUT_S), "late"

    trigger_service(node, "~/block", block, callback_group=api.MutuallyExclusiveCallbackGroup())
    inbox, ticks, answers = Inbox(node, kind, "~/alive", 5), [], []
    publisher = node.create_publisher(api.message(kind), "~/alive", 5)
    caller = threading.Thread(target=lambda: answers.append(peer(TRIGGER, "/cell/tested/block")))
    caller.start()
    assert entered.wait(TIMEOUT_S)
    node.create_timer(0.01, lambda: ticks.append(1))
    for width in range(3):
        publisher.publish(api.message(kind)(width=width))
    inbox.wait(3)
    assert wait_for(lambda: len(ticks) >= 3)
    assert answers == []
    gate.set()
    caller.join(TIMEOUT_S)
    assert answers == [{"success": True, "message": "late"}]


def test_a_group_runs_one_callback_at_a_time(node):
    kind, running, overlaps, done = "sensor_msgs/msg/CameraInfo", [], [], []

    def enter(message):
        running.append(1)
        overlaps.append(len(running))
        time.sleep(0.002)
        running.pop()
        done.append(1)

    for topic in ("~/one", "~/two"):
        node.create_subscription(api.message(kind), topic, enter, 50)
    publishers = [node.create_publisher(api.message(kind), topic, 50) for topic in ("~/one", "~/two")]
    assert wait_for(lambda: all(publisher.get_subscription_count() == 1 for publisher in publishers))
    for _ in range(20):
        for publisher in publishers:
            publisher.publish(api.message(kind)())
    assert wait_for(lambda: len(done) == 40)
    assert set(overlaps) == {1}
