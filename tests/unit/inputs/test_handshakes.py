from __future__ import annotations

from logstreamd.inputs.handshakes import Handshakes


class Sender:
    def __init__(self, address: str) -> None:
        self.address = address
        self.began = False

    def start_handshake(self) -> None:
        self.began = True


def senders(address: str, count: int) -> list[Sender]:
    return [Sender(address) for _ in range(count)]


def test_places_are_given_out_until_there_are_none() -> None:
    handshakes = Handshakes(3)
    first, second, third, fourth = (Sender(f"192.0.2.{number}") for number in range(4))
    assert [handshakes.enter(one) for one in (first, second, third, fourth)] == [True, True, True, False]
    handshakes.leave(second)
    assert fourth.began
    assert len(handshakes) == 3


def test_one_address_has_a_quarter_of_the_places() -> None:
    handshakes = Handshakes(8)
    greedy = senders("192.0.2.1", 5)
    assert [handshakes.enter(one) for one in greedy] == [True, True, False, False, False]
    assert handshakes.enter(Sender("192.0.2.2"))
    handshakes.leave(greedy[0])
    assert [one.began for one in greedy] == [False, False, True, False, False]


def test_one_place_is_enough_for_everybody() -> None:
    handshakes = Handshakes(1)
    first, second = senders("192.0.2.1", 2)
    assert [handshakes.enter(first), handshakes.enter(second)] == [True, False]
    handshakes.leave(first)
    assert second.began


def test_those_that_wait_go_on_in_turns_of_their_addresses() -> None:
    handshakes = Handshakes(1)
    running = Sender("192.0.2.9")
    handshakes.enter(running)
    many, few = senders("192.0.2.1", 3), senders("192.0.2.2", 1)
    for one in (*many, *few):
        assert not handshakes.enter(one)
    handshakes.leave(running)
    handshakes.leave(many[0])
    assert [one.began for one in (*many, *few)] == [True, False, False, True]


def test_who_gives_up_is_not_waited_for() -> None:
    handshakes = Handshakes(1)
    running, gone, patient = senders("192.0.2.1", 3)
    for one in (running, gone, patient):
        handshakes.enter(one)
    handshakes.give_up(gone)
    handshakes.leave(running)
    assert (gone.began, patient.began) == (False, True)
    handshakes.leave(patient)
    assert len(handshakes) == 0


def test_more_places_are_given_out_at_once() -> None:
    handshakes = Handshakes(1)
    running, waiting = Sender("192.0.2.1"), Sender("192.0.2.2")
    handshakes.enter(running)
    handshakes.enter(waiting)
    handshakes.places = 2
    handshakes.go_on()
    assert waiting.began
