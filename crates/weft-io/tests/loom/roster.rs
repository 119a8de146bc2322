//! Members of a roster are visited while they are on it, and end once, after the last visit.

use super::{Plain, model};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use weft_io::model::Roster;

/// Its visits read it, and its end writes: the model sees whether one overtakes the other.
struct Member {
    owner: Plain<u32>,
    /// Not part of the model: counts.
    ends: Arc<AtomicUsize>,
}

impl Member {
    fn new(owner: u32, ends: &Arc<AtomicUsize>) -> Arc<Member> {
        Arc::new(Member { owner: Plain::new(owner), ends: Arc::clone(ends) })
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.owner.set(0);
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

fn visit(roster: &Roster<Member>) {
    roster.each(|member| assert_ne!(member.owner.get(), 0, "it is there"));
}

fn ended(ends: &AtomicUsize) -> usize {
    ends.load(Ordering::Relaxed)
}

/// Two go through while a member leaves: it ends when the last of the three is done with it, once.
/// [async 27]
#[test]
fn a_member_ends_after_its_last_visit() {
    model(|| {
        let (roster, ends) = (Arc::new(Roster::new()), Arc::default());
        roster.add(1, Member::new(1, &ends));
        let visitors = [(); 2].map(|()| {
            let roster = Arc::clone(&roster);
            thread::spawn(move || visit(&roster))
        });
        roster.take_off(1);
        visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
        assert_eq!((ended(&ends), roster.count()), (1, (0, 1)));
    });
}

/// A seat goes from one to the next while somebody goes through: whoever is visited is there, also if another one has come
/// meanwhile. The next needs a seat of its own only if the first one's has a visitor.
#[test]
fn a_seat_is_used_again() {
    model(|| {
        let (roster, ends) = (Arc::new(Roster::new()), Arc::default());
        roster.add(1, Member::new(1, &ends));
        let visitor = {
            let roster = Arc::clone(&roster);
            thread::spawn(move || visit(&roster))
        };
        roster.take_off(1);
        roster.add(2, Member::new(2, &ends));
        assert_eq!(roster.find(2).expect("it was added").owner.get(), 2);
        roster.take_off(2);
        visitor.join().unwrap();
        assert_eq!((ended(&ends), roster.count().0), (2, 0));
        roster.add(3, Member::new(3, &ends));
        let (taken, seats) = roster.count();
        assert!(taken == 1 && seats <= 2);
        drop(roster);
        assert_eq!(ended(&ends), 3, "what is left ends with the roster");
    });
}

/// Owners on threads of their own come and go on one seat, and use what they have added.
#[test]
fn owners_come_and_go() {
    model(|| {
        let (roster, ends) = (Arc::new(Roster::new()), Arc::<AtomicUsize>::default());
        let come_and_go = |roster: &Roster<Member>, owner, ends: &Arc<AtomicUsize>| {
            roster.add(owner, Member::new(owner, ends));
            assert_eq!(roster.find(owner).expect("it was added").owner.get(), owner);
            roster.take_off(owner);
        };
        let other = {
            let (roster, ends) = (Arc::clone(&roster), Arc::clone(&ends));
            thread::spawn(move || come_and_go(&roster, 2, &ends))
        };
        come_and_go(&roster, 1, &ends);
        visit(&roster);
        other.join().unwrap();
        assert_eq!((ended(&ends), roster.count().0), (2, 0));
    });
}

/// As a notification uses it: who is added and then looks at the epoch sees the signal, or is told.
/// [async 130]
#[test]
fn a_member_sees_the_signal_or_is_visited() {
    model(|| {
        let (roster, ends) = (Arc::new(Roster::new()), Arc::default());
        let epoch = Arc::new(AtomicU32::new(0));
        let signaller = {
            let (roster, epoch) = (Arc::clone(&roster), Arc::clone(&epoch));
            thread::spawn(move || {
                epoch.fetch_add(1, Ordering::AcqRel);
                let mut count = 0;
                roster.each(|_| count += 1);
                count
            })
        };
        roster.add(1, Member::new(1, &ends));
        let seen = epoch.fetch_add(0, Ordering::AcqRel);
        let told = signaller.join().unwrap();
        assert!(seen + told > 0, "nobody tells it");
        roster.take_off(1);
        assert_eq!(ended(&ends), 1);
    });
}
