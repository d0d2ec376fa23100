//! Records that go to a peer go there once, whoever hears of them first and in whatever order frames come.

use serde_json::json;

use crate::net::{Net, Order};

/// How many times there is a choice of what happens next; the rest goes in order.
const CHOICES: usize = 6;

/// Two nodes that share a thread and wrote alone.
struct Apart {
    net: Net,
    /// How many entities each wrote, and how many records that are.
    wrote: [u64; 2],
    records: [u64; 2],
}

/// How many records are on a node.
fn records(net: &Net, node: usize) -> u64 {
    let status = net.db(node).sync_status().unwrap();
    status.logs.iter().map(|log| log.have).sum()
}

impl Apart {
    fn new(wrote: [u64; 2]) -> Self {
        let mut net = Net::new(2);
        net.shared_thread();
        net.connect(0, 1);
        net.run();
        net.part(0, 1);
        net.run();
        let before = [0, 1].map(|node| records(&net, node));
        for (node, entities) in wrote.into_iter().enumerate() {
            for n in 0..entities {
                net.put(node, json!({"_id": format!("{node} {n}"), "n": n}));
            }
        }
        let records = [0, 1].map(|node| records(&net, node) - before[node]);
        Self {
            net,
            wrote,
            records,
        }
    }

    /// Has them meet with frames and work in this order; says whether there is another.
    fn meet(&self, order: Order) -> Option<Order> {
        let mut net = Net::new(2);
        for node in 0..2 {
            net.put_back_from(node, &self.net);
        }
        net.connect(0, 1);
        net.in_order(order);
        net.run();
        for node in 0..2 {
            let records = self.records[1 - node];
            assert_eq!(
                net.records(node),
                records,
                "sent to {node}: {:?}",
                net.order()
            );
            for n in 0..self.wrote[1 - node] {
                let there = net.get(node, &format!("{} {n}", 1 - node));
                assert!(there.is_some(), "{node}: {:?}", net.order());
            }
            let machine = format!("{:?}", net.machine(node));
            assert!(machine.contains("active: 0"), "{machine}");
        }
        net.order().next(CHOICES)
    }
}

#[test]
fn two_that_meet_send_each_record_once_in_any_order() {
    for wrote in [[2, 3], [2, 0], [0, 3]] {
        let apart = Apart::new(wrote);
        let (mut order, mut orders) = (Some(Order::default()), 0);
        while let Some(next) = order {
            order = apart.meet(next);
            orders += 1;
        }
        assert!(orders > 50, "{orders} orders of {wrote:?}");
    }
}

#[test]
fn who_is_asked_while_it_asks_sends_nothing_twice() {
    let apart = Apart::new([2, 3]);
    let mut net = Net::new(2);
    for node in 0..2 {
        net.put_back_from(node, &apart.net);
    }
    // Longer than the one of them waits to be asked.
    net.frames_take(1_500);
    net.connect(0, 1);
    net.run();
    assert_eq!([net.records(1), net.records(0)], apart.records);
    assert!(net.get(0, "1 2").is_some() && net.get(1, "0 1").is_some());
}

#[test]
fn what_is_written_while_a_peer_pulls_is_sent_once() {
    let apart = Apart::new([300, 0]);
    let mut net = Net::new(2);
    for node in 0..2 {
        net.put_back_from(node, &apart.net);
    }
    net.frames_take(100);
    net.connect(0, 1);
    let (before, wrote) = (records(&net, 0), 300 + 40);
    for n in 300..wrote {
        net.run_for(37);
        net.put(0, json!({"_id": format!("0 {n}"), "n": n}));
    }
    let meanwhile = records(&net, 0) - before;
    net.run();
    assert_eq!(net.records(1), apart.records[0] + meanwhile);
    assert!(net.get(1, &format!("0 {}", wrote - 1)).is_some());
}
