//! Links over the network: the linker learns that the connection broke.

use std::net::TcpListener;

use crate::support::*;

fn link(process: &ProcessRef<Witness>, to: &Pid) {
    let to = to.clone();
    process.dispatch(move |_, ctx| ctx.link(&to));
}

#[test]
fn a_peer_that_goes_is_seen_over_an_idle_link() {
    let world = world();
    let a = node(&world);
    let (process, seen) = witness(&a, "p");
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = peer.local_addr().unwrap().into();
    let (one, two) = (Pid::new("one", address), Pid::new("two", address));
    link(&process, &one);
    link(&process, &two);
    link(&process, &one);
    let (stream, _) = peer.accept().unwrap();
    drop(stream);
    assert_eq!(next(&seen), Seen::Exited(one.clone()));
    assert_eq!(next(&seen), Seen::Exited(two));
    // The links are over: only who links again is told again.
    link(&process, &one);
    let (stream, _) = peer.accept().unwrap();
    drop((stream, peer));
    assert_eq!(next(&seen), Seen::Exited(one.clone()));
    link(&process, &one);
    assert_eq!(next(&seen), Seen::Exited(one), "nobody listens any more");
    let probe = a.pid_of("p");
    world
        .block_on(a.ask::<Tick, Tock>(&probe, Tick { n: 0 }, PATIENCE))
        .unwrap();
    assert!(
        matches!(next(&seen), Seen::Tick(0, _)),
        "each was told once"
    );
}

#[test]
fn a_node_that_shuts_down_is_gone_for_those_linked_to_its_processes() {
    let world = world();
    let (a, b) = (node(&world), node(&world));
    let (process, seen) = witness(&a, "p");
    let (other, _seen_by_other) = witness(&b, "q");
    link(&process, other.pid());
    let asked = a.ask::<Tick, Tock>(other.pid(), Tick { n: 0 }, PATIENCE);
    world.block_on(asked).unwrap();
    world.block_on(b.shutdown());
    assert_eq!(next(&seen), Seen::Exited(other.pid().clone()));
}

#[test]
fn a_process_that_ends_on_a_living_node_is_not_noticed_from_another() {
    let world = world();
    let (a, b) = (node(&world), node(&world));
    let (process, seen) = witness(&a, "p");
    let (other, _seen_by_other) = witness(&b, "q");
    let (keeper, _seen_by_keeper) = witness(&b, "keeper");
    link(&process, other.pid());
    b.terminate(other.pid(), tepui_runtime::Terminate::Now);
    world.block_on(b.wait(other.pid()));
    for n in 0..3 {
        world
            .block_on(a.ask::<Tick, Tock>(keeper.pid(), Tick { n }, PATIENCE))
            .unwrap();
    }
    let probe = a.pid_of("p");
    world
        .block_on(a.ask::<Tick, Tock>(&probe, Tick { n: 9 }, PATIENCE))
        .unwrap();
    assert!(matches!(next(&seen), Seen::Tick(9, _)), "as in libprocess");
}

#[test]
fn a_link_to_a_local_process_that_does_not_exist_is_over_at_once() {
    let world = world();
    let a = node(&world);
    let (process, seen) = witness(&a, "p");
    link(&process, &a.pid_of("ghost"));
    assert_eq!(next(&seen), Seen::Exited(a.pid_of("ghost")));
}
