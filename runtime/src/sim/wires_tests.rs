//! The network's state by itself: time is a number, chance is given.

use super::*;

const LATENCY: Duration = Duration::from_nanos(10);

fn weather() -> Weather {
    Weather {
        min_latency: LATENCY,
        max_latency: LATENCY,
        detection: Duration::from_nanos(1000),
        cuts_per_million: 0,
    }
}

fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

fn address(port: u16) -> Address {
    Address::new(std::net::Ipv4Addr::LOCALHOST.into(), port)
}

fn way() -> Way {
    (address(1), address(2))
}

/// What travels is told by its number alone.
fn packet(number: u8) -> u8 {
    number
}

/// Two hosts and a connection from the first to the second.
fn wires() -> Wires<u8> {
    let mut wires: Wires<u8> = Wires::new(weather());
    assert_eq!(
        (wires.listen(address(1)), wires.listen(address(2))),
        (Some(1), Some(2))
    );
    assert_eq!(wires.connect(at(0), way(), 1, LATENCY), None);
    wires
}

fn arrive(time: u64) -> Effect {
    Effect::Arrive {
        at: at(time),
        way: way(),
        epoch: 1,
    }
}

/// A packet at the second host.
fn here(packet: u8) -> Arrival<(u64, u8)> {
    Arrival::Here((2, packet))
}

fn time_out(time: u64) -> Effect {
    Effect::TimeOut {
        at: at(time),
        way: way(),
        epoch: 1,
    }
}

fn disconnect(time: u64) -> Effect {
    Effect::Disconnect {
        at: at(time),
        way: way(),
        host: 1,
    }
}

#[test]
fn packets_arrive_in_the_order_in_which_they_were_sent() {
    let mut wires = wires();
    let slow = Duration::from_nanos(50);
    assert_eq!(wires.send(at(0), way(), packet(1), slow), Some(arrive(50)));
    assert_eq!(
        wires.send(at(5), way(), packet(2), LATENCY),
        Some(arrive(51)),
        "overtakes nothing"
    );
    assert_eq!(wires.arrive(at(50), way(), 1), here(packet(1)));
    assert_eq!(wires.arrive(at(51), way(), 1), here(packet(2)));
    assert_eq!(wires.arrive(at(52), way(), 1), Arrival::Nothing);
}

#[test]
fn a_break_loses_what_is_under_way_and_the_next_connection_is_another() {
    let mut wires = wires();
    wires.send(at(0), way(), packet(1), LATENCY);
    assert_eq!(wires.break_off(at(5), way()), Some(disconnect(5)));
    assert_eq!(wires.connect(at(6), way(), 1, LATENCY), None);
    let sent = wires.send(at(6), way(), packet(2), LATENCY);
    assert_eq!(
        sent,
        Some(Effect::Arrive {
            at: at(16),
            way: way(),
            epoch: 2
        })
    );
    assert_eq!(
        wires.arrive(at(10), way(), 1),
        Arrival::Nothing,
        "of the first connection"
    );
    assert_eq!(wires.arrive(at(16), way(), 2), here(packet(2)));
}

#[test]
fn what_is_carried_makes_its_connection_where_there_is_none() {
    let mut wires = wires();
    let carry = |wires: &mut Wires<u8>, to: Way, host: u64| {
        wires.carry(at(0), to, host, packet(1), LATENCY)
    };
    assert_eq!(carry(&mut wires, way(), 1), [None, Some(arrive(10))]);
    // Another host at the same address has no connection yet.
    wires.leave(at(0), address(1), false);
    assert_eq!(wires.listen(address(1)), Some(3));
    let anew = Effect::Arrive {
        at: at(10),
        way: way(),
        epoch: 2,
    };
    assert_eq!(carry(&mut wires, way(), 3), [None, Some(anew)]);
    wires.block(at(0), way());
    assert_eq!(carry(&mut wires, way(), 3), [None, None], "it waits");
    let nowhere = (address(1), address(9));
    let [connected, sent] = carry(&mut wires, nowhere, 3);
    assert!(matches!(connected, Some(Effect::TimeOut { epoch: 3, .. })) && sent.is_none());
}

#[test]
fn what_a_short_partition_holds_up_arrives_when_it_heals() {
    let mut wires = wires();
    wires.send(at(0), way(), packet(1), LATENCY);
    assert_eq!(wires.block(at(5), way()), [time_out(1005)]);
    assert_eq!(wires.send(at(6), way(), packet(2), LATENCY), None);
    assert_eq!(wires.arrive(at(10), way(), 1), Arrival::Nothing);
    assert_eq!(
        wires.free(at(100), way(), LATENCY),
        [arrive(110), arrive(111)]
    );
    assert_eq!(
        wires.time_out(at(1005), way(), 1),
        None,
        "the way is free again"
    );
    assert_eq!(wires.arrive(at(110), way(), 1), here(packet(1)));
    assert_eq!(wires.arrive(at(111), way(), 1), here(packet(2)));
}

#[test]
fn the_alarm_of_a_packet_that_was_held_up_brings_nothing_early() {
    let mut wires = wires();
    wires.send(at(0), way(), packet(1), LATENCY);
    wires.block(at(5), way());
    assert_eq!(wires.free(at(6), way(), LATENCY), [arrive(16)]);
    assert_eq!(wires.arrive(at(10), way(), 1), Arrival::Nothing);
    assert_eq!(wires.arrive(at(16), way(), 1), here(packet(1)));
}

#[test]
fn a_long_partition_breaks_the_connections_of_both_directions() {
    let mut wires = wires();
    let back = (address(2), address(1));
    assert_eq!(wires.connect(at(0), back, 2, LATENCY), None);
    let effects = wires.block(at(5), way());
    assert_eq!(
        effects,
        [
            time_out(1005),
            Effect::TimeOut {
                at: at(1005),
                way: back,
                epoch: 2
            }
        ]
    );
    wires.send(at(6), way(), packet(1), LATENCY);
    assert_eq!(wires.time_out(at(1005), way(), 1), Some(disconnect(1005)));
    let told = Effect::Disconnect {
        at: at(1005),
        way: back,
        host: 2,
    };
    assert_eq!(
        wires.time_out(at(1005), back, 2),
        Some(told),
        "its acknowledgements are lost"
    );
    assert_eq!(
        wires.free(at(2000), way(), LATENCY),
        [],
        "what waited is lost"
    );
}

#[test]
fn a_one_way_block_lets_the_other_direction_through() {
    let mut wires = wires();
    let back = (address(2), address(1));
    wires.connect(at(0), back, 2, LATENCY);
    wires.block(at(0), way());
    assert!(wires.send(at(1), back, packet(1), LATENCY).is_some());
    assert_eq!(wires.arrive(at(11), back, 2), Arrival::Here((1, packet(1))));
}

#[test]
fn nobody_at_an_address_refuses_soon_and_a_crashed_host_is_silent() {
    let mut wires = wires();
    let nowhere = (address(1), address(9));
    let refused = Effect::TimeOut {
        at: at(20),
        way: nowhere,
        epoch: 2,
    };
    assert_eq!(wires.connect(at(0), nowhere, 1, LATENCY), Some(refused));
    assert_eq!(wires.send(at(0), nowhere, packet(1), LATENCY), None);
    let told = Effect::Disconnect {
        at: at(20),
        way: nowhere,
        host: 1,
    };
    assert_eq!(wires.time_out(at(20), nowhere, 2), Some(told));

    assert_eq!(wires.leave(at(30), address(2), true), [time_out(1030)]);
    wires.send(at(31), way(), packet(1), LATENCY);
    assert_eq!(wires.arrive(at(41), way(), 1), Arrival::Nothing);
    assert_eq!(wires.time_out(at(1030), way(), 1), Some(disconnect(1030)));
    let silent = Effect::TimeOut {
        at: at(2100),
        way: way(),
        epoch: 3,
    };
    assert_eq!(wires.connect(at(1100), way(), 1, LATENCY), Some(silent));
}

#[test]
fn a_host_that_came_back_resets_the_connections_of_the_one_before() {
    let mut wires = wires();
    wires.leave(at(0), address(2), true);
    assert_eq!(wires.listen(address(2)), Some(3));
    assert_eq!(wires.listen(address(2)), None, "taken");
    wires.send(at(1), way(), packet(1), LATENCY);
    assert_eq!(wires.arrive(at(11), way(), 1), Arrival::Reset);
    assert_eq!(wires.break_off(at(21), way()), Some(disconnect(21)));
}

#[test]
fn a_host_that_shuts_down_closes_its_connections() {
    let mut wires = wires();
    assert_eq!(wires.leave(at(0), address(2), false), [time_out(10)]);
    assert_eq!(wires.time_out(at(10), way(), 1), Some(disconnect(10)));
    assert_eq!(wires.leave(at(0), address(2), false), []);
}

#[test]
fn latency_is_drawn_between_its_bounds() {
    let mut wires: Wires<u8> = Wires::new(weather());
    wires.weather.max_latency = Duration::from_nanos(30);
    assert_eq!(wires.latency(way(), |n| n - 1), Duration::from_nanos(30));
    assert_eq!(wires.latency(way(), |_| 0), LATENCY);
}
