//! Messages within a node: their order, who sent them, what becomes of those that nobody serves.

use serde::{Deserialize, Serialize};
use tepui_runtime::{
    AskError, Context, Declaration, Encoding, EventCounts, Handle, Hop, Id, Message, Node,
    NodeOptions, Pid, Process, Refusal, Terminate, serde_message,
};

use crate::in_both_worlds;
use crate::support::{Log, Note, Question, SOON, Scribe, Stage, note, scribe, simulated};

in_both_worlds! {
    the_order_between_a_pair_is_kept
    the_sender_is_known_and_answered
    messages_that_nobody_serves_are_counted
    another_type_of_the_same_name_is_translated
    a_message_from_outside_is_checked_before_it_is_queued
    an_inward_message_is_taken_from_the_own_node_alone
    a_burst_longer_than_a_batch_is_served_whole
    work_that_blocks_comes_back_as_an_event
    work_that_panics_ends_its_process
    who_is_no_process_has_work_done_that_blocks
}

fn the_order_between_a_pair_is_kept(stage: &mut impl Stage) {
    let node = stage.node();
    let (to, log) = scribe(&node, "to");
    let (from, _) = scribe(&node, "from");
    let target = to.clone();
    from.dispatch(move |_, ctx| {
        for number in 0..1000 {
            if number % 3 == 0 {
                target.dispatch(move |scribe, _| scribe.log.add(number.to_string()));
            } else {
                ctx.send(target.pid(), note(number.to_string()));
            }
        }
        ctx.node().terminate(target.pid(), Terminate::Queued);
    });
    stage.block_on(node.wait(to.pid()));
    let expected: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(log.all()[1..=1000], expected);
}

fn the_sender_is_known_and_answered(stage: &mut impl Stage) {
    struct Curious {
        log: Log,
    }
    impl Process for Curious {
        fn declare(declaration: &mut Declaration<Curious>) {
            declaration.message::<Note>();
        }
        fn initialize(&mut self, ctx: &mut Context<'_, Curious>) {
            assert!(ctx.sender().is_nobody());
            ctx.send(&ctx.node().pid_of("scribe"), Question("why".into()));
        }
    }
    impl Handle<Note> for Curious {
        fn handle(&mut self, answer: Note, ctx: &mut Context<'_, Curious>) {
            self.log
                .add(format!("{} from {}", answer.0, ctx.sender().id()));
        }
    }
    let node = stage.node();
    scribe(&node, "scribe");
    let log = Log::default();
    node.spawn(Id::chosen("curious"), Curious { log: log.clone() })
        .unwrap();
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["why from scribe"]);
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Foreign;
serde_message!(Foreign, "test.Foreign");

fn messages_that_nobody_serves_are_counted(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, _) = scribe(&node, "a");
    node.send(&Pid::nobody(), process.pid(), Foreign);
    node.send(&Pid::nobody(), &node.pid_of("absent"), note("lost"));
    node.send(&Pid::nobody(), &Pid::nobody(), note("lost"));
    stage.block_on(node.settle());
    let counted = node.metrics().snapshot();
    assert_eq!(counted["runtime/messages_dropped/undeclared"], 1.0);
    assert_eq!(counted["runtime/messages_dropped/no_process"], 1.0);
    assert_eq!(counted["runtime/messages_dropped/nobody"], 1.0);
    let refused = stage.block_on(node.ask::<Foreign, Note>(process.pid(), Foreign, SOON));
    let reason = "process 'a' does not take 'test.Foreign': not declared".to_owned();
    let expected = AskError::Refused {
        by: Hop::Local,
        status: 400,
        reason,
    };
    assert_eq!(refused.unwrap_err(), expected);
}

/// As `Note`, by another author.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Remark(String);
serde_message!(Remark, "test.Note");

fn another_type_of_the_same_name_is_translated(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    node.send(&Pid::nobody(), process.pid(), Remark("as a note".into()));
    stage.block_on(node.settle());
    assert_eq!(log.all()[1..], ["as a note"]);
    let question = Question("as a remark".into());
    let answer = stage.block_on(node.ask::<Question, Remark>(process.pid(), question, SOON));
    assert_eq!(answer.unwrap().0, "as a remark");
}

fn an_inward_message_is_taken_from_the_own_node_alone(stage: &mut impl Stage) {
    struct Vault {
        log: Log,
    }
    impl Process for Vault {
        fn declare(declaration: &mut Declaration<Vault>) {
            declaration.inward::<Note>();
        }
    }
    impl Handle<Note> for Vault {
        fn handle(&mut self, note: Note, _: &mut Context<'_, Vault>) {
            self.log.add(note.0);
        }
    }
    let node = stage.node();
    let log = Log::default();
    let vault = node
        .spawn(Id::chosen("vault"), Vault { log: log.clone() })
        .unwrap();
    let from: Pid = "x@10.1.2.3:77".parse().unwrap();
    let body = Message::encode(&note("from afar"), Encoding::Json).unwrap();
    let refused = node.deliver_encoded("vault", "test.Note", Encoding::Json, &body, &from);
    assert_eq!(refused.unwrap_err().status(), 400);
    node.send(&Pid::nobody(), vault.pid(), note("from here"));
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["from here"]);
}

fn a_message_from_outside_is_checked_before_it_is_queued(stage: &mut impl Stage) {
    let node = stage.node();
    let (_, log) = scribe(&node, "a");
    let from: Pid = "x@10.1.2.3:77".parse().unwrap();
    let body = Message::encode(&note("hello"), Encoding::MessagePack).unwrap();
    let deliver = |id: &str, name: &str, encoding, body: &[u8]| {
        node.deliver_encoded(id, name, encoding, body, &from)
    };
    deliver("a", "test.Note", Encoding::MessagePack, &body).unwrap();
    let own = node.pid_of("a");
    let forged = node.deliver_encoded("a", "test.Note", Encoding::MessagePack, &body, &own);
    assert_eq!(forged.unwrap_err().status(), 400);
    let refusal = deliver("b", "test.Note", Encoding::MessagePack, &body).unwrap_err();
    assert_eq!(
        (refusal.status(), refusal.to_string()),
        (404, "no process 'b'".to_owned())
    );
    let refusal = deliver("a", "test.Foreign", Encoding::MessagePack, &body).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "process 'a' does not take 'test.Foreign'"
    );
    assert_eq!(refusal.status(), 400);
    let refusal = deliver("a", "test.Note", Encoding::Json, b"7").unwrap_err();
    assert!(matches!(refusal, Refusal::Decode(_)), "{refusal}");
    assert_eq!(refusal.status(), 400);
    stage.block_on(node.settle());
    assert_eq!(log.all(), ["initialize a", "hello"]);
}

fn a_burst_longer_than_a_batch_is_served_whole(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    for number in 0..2000 {
        node.send(&Pid::nobody(), process.pid(), note(number.to_string()));
    }
    stage.block_on(node.settle());
    assert_eq!(log.all().len(), 2001);
    assert_eq!(log.all()[2000], "1999");
}

fn work_that_blocks_comes_back_as_an_event(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    process.dispatch(|_, ctx| {
        ctx.blocking(
            || 6 * 7,
            |scribe, answer, ctx| {
                scribe.log.add(answer.to_string());
                ctx.terminate();
            },
        );
    });
    stage.block_on(node.wait(process.pid()));
    assert_eq!(log.all(), ["initialize a", "42", "finalize a", "dropped"]);
}

fn work_that_panics_ends_its_process(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, log) = scribe(&node, "a");
    process.dispatch(|_, ctx| ctx.blocking(|| panic!("on purpose"), |_, (), _| {}));
    stage.block_on(node.wait(process.pid()));
    assert_eq!(log.all(), ["initialize a", "dropped"]);
    assert_eq!(node.metrics().snapshot()["runtime/processes_panicked"], 1.0);
}

fn who_is_no_process_has_work_done_that_blocks(stage: &mut impl Stage) {
    let node = stage.node();
    let answer = node.blocking(|| 6 * 7);
    assert_eq!(stage.block_on(answer), Some(42));
    let nothing = node.blocking(|| -> u8 { panic!("on purpose") });
    assert_eq!(stage.block_on(nothing), None);
}

#[test]
fn waiting_events_are_counted_by_type() {
    let mut simulation = simulated();
    let node = simulation.node();
    let (process, _) = scribe(&node, "a");
    node.send(&Pid::nobody(), process.pid(), note("one"));
    node.send(&Pid::nobody(), process.pid(), note("two"));
    process.dispatch(|_, _| {});
    node.terminate(process.pid(), Terminate::Queued);
    let waiting = node.processes();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].pid, *process.pid());
    let expected = EventCounts {
        messages: 2,
        dispatches: 1,
        exited: 0,
        terminate: 1,
    };
    assert_eq!(waiting[0].events, expected);
    let (other, _) = scribe(&node, "b");
    other.dispatch(move |_, ctx| {
        let counts: Vec<EventCounts> = ctx.node().processes().iter().map(|p| p.events).collect();
        assert_eq!(
            counts,
            [EventCounts {
                messages: 1,
                ..EventCounts::default()
            }]
        );
    });
    node.send(&Pid::nobody(), other.pid(), note("behind"));
    simulation.block_on(node.settle());
    assert!(node.processes()[0].events == EventCounts::default());
}

#[test]
fn a_mailbox_over_its_mark_is_counted_once_until_it_shrank() {
    let mut simulation = simulated();
    let options = NodeOptions {
        mailbox_mark: 10,
        ..NodeOptions::default()
    };
    let node = Node::start(simulation.world(), options).unwrap();
    let process = node
        .spawn(
            Id::chosen("a"),
            Scribe {
                log: Log::default(),
            },
        )
        .unwrap();
    let passed = || node.metrics().snapshot()["runtime/mailbox_marks_passed"];
    for expected in [1.0, 2.0] {
        for _ in 0..20 {
            node.send(&Pid::nobody(), process.pid(), note("again"));
        }
        assert_eq!(passed(), expected);
        simulation.block_on(node.settle());
    }
}
