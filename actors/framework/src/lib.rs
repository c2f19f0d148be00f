//! What a framework author uses: a scheduler is a type that implements [`Scheduler`], an executor
//! one that implements [`Executor`]; [`spawn`] and [`spawn_executor`] make actors of them.
//!
//! ```
//! use tepui_framework::{Driver, Scheduler, Task};
//! use tepui_protocol::mesos::v1::{Offer, TaskStatus};
//!
//! struct Hello;
//!
//! impl Scheduler for Hello {
//!     fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
//!         for offer in &offers {
//!             let task = Task::command("hello", "echo hello").cpus(0.1).mem(32.0);
//!             driver.launch(offer, [task.on(offer)]);
//!         }
//!     }
//!
//!     fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
//!         println!("{} is {}", status.task_id.value, status.state().as_str_name());
//!     }
//! }
//! ```
//!
//! Updates are acknowledged once `update` returned, unless [`Options::acknowledge`] is off. The
//! actor subscribes again, with its framework id and all that its calls have changed since
//! (UPDATE_FRAMEWORK, SUPPRESS, REVIVE), whenever it lost the master.

mod appetite;
mod constraint;
mod delay;
mod driver;
mod environment;
mod executor;
mod group;
mod info;
mod ledger;
mod matcher;
mod scheduler;
mod site;
mod subscription;
mod task;
mod wishes;

pub use self::appetite::Appetite;
pub use self::constraint::{Constraint, Places, Spread, offer_constraints};
pub use self::delay::{Delay, Locality, Patience, Preference};
pub use self::driver::{Asked, Driver};
pub use self::environment::{EnvironmentError, ExecutorOptions};
pub use self::executor::{Executor, ExecutorDriver, spawn_executor, spawn_executor_with};
pub use self::group::{Group, default_executor};
pub use self::info::{Info, executor};
pub use self::ledger::{Change, Known, Ledger, Standing, standing};
pub use self::matcher::{Matcher, Needs, Place, ports};
pub use self::scheduler::{Framework, Options, Scheduler, deliver, spawn, spawn_with};
pub use self::site::{Selector, Site};
pub use self::task::{Task, refuse, scalar};
