//! A framework that speaks messages instead of HTTP: it says what it was given, and does nothing.
//! What is sent as from its PID reaches the master past the gateway and its checks.

use std::sync::{Arc, Mutex, PoisonError};

use tepui_framework::{Driver, Framework, Scheduler, spawn};
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo, MasterInfo, Offer, TaskStatus};
use tepui_protocol::mesos::v1::{framework_info::Capability, framework_info::capability};
use tepui_runtime::{Node, Pid};

/// What it was given last.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Its id; empty until it is subscribed.
    pub framework: String,
    /// An offer that may be valid.
    pub offer: String,
}

/// The framework.
pub struct Listener {
    given: Arc<Mutex<Given>>,
    framework: Framework<Silent>,
}

struct Silent(Arc<Mutex<Given>>);

impl Silent {
    fn given(&self) -> std::sync::MutexGuard<'_, Given> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scheduler for Silent {
    fn subscribed(&mut self, _: &mut Driver<'_>, id: &FrameworkId, _: Option<&MasterInfo>) {
        self.given().framework.clone_from(&id.value);
    }

    fn offers(&mut self, _: &mut Driver<'_>, offers: Vec<Offer>) {
        if let Some(offer) = offers.into_iter().next_back() {
            self.given().offer = offer.id.value;
        }
    }

    fn update(&mut self, _: &mut Driver<'_>, _: TaskStatus) {}
}

impl Listener {
    /// Subscribes from a host.
    ///
    /// # Panics
    ///
    /// When the host is down.
    pub fn new(host: &Node, master: Pid) -> Listener {
        let given = Arc::default();
        let multi_role = Capability {
            r#type: Some(capability::Type::MultiRole as i32),
        };
        let info = FrameworkInfo {
            user: "root".to_owned(),
            name: "listener".to_owned(),
            roles: vec!["r".to_owned()],
            failover_timeout: Some(60.0),
            capabilities: vec![multi_role],
            ..FrameworkInfo::default()
        };
        let silent = Silent(Arc::clone(&given));
        let framework = spawn(host, master, info, silent).expect("its host is up");
        Listener { given, framework }
    }

    /// Where it is.
    pub fn pid(&self) -> &Pid {
        self.framework.pid()
    }

    /// What it was given last.
    pub fn given(&self) -> Given {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.clone()
    }
}
