//! What once failed, as small as it got.

use threads_conformance::sim::run::run;

fn holds(script: &str) {
    if let Err(failure) = run(&super::lab(), &script.parse().unwrap(), None) {
        panic!("it fails again {failure}");
    }
}

/// Who was asked, and had the same, did not note it.
#[test]
fn both_know_when_nothing_ever_happened() {
    holds(r#"{"seed":4,"peers":2,"steps":[]}"#);
}

/// Who was compared with was not told of what both had.
#[test]
fn a_push_whose_reply_is_lost_in_a_crash_is_known_of() {
    holds(
        r#"{"seed":4,"peers":2,"steps":[
        {"at_ms":35796,"act":"write","peer":1,"seed":2539940166592480,"changes":2,"relaxed":false},
        {"at_ms":35904,"act":"crash","peer":1,"commits":0},
        {"at_ms":37002,"act":"write","peer":0,"seed":329795041537191,"changes":3,"relaxed":false}]}"#,
    );
}

/// A commit while the store was being asked how the thread stands was pushed to nobody.
#[test]
fn a_commit_during_a_load_is_pushed() {
    holds(
        r#"{"seed":34,"peers":2,"steps":[
        {"at_ms":13185,"act":"write","peer":1,"seed":3568369662517006,"changes":1,"relaxed":true},
        {"at_ms":27142,"act":"loss","permille":3},
        {"at_ms":27142,"act":"duplicate","permille":3},
        {"at_ms":29274,"act":"write","peer":0,"seed":1746124525296356,"changes":2,"relaxed":false},
        {"at_ms":29275,"act":"write","peer":0,"seed":4349608311226485,"changes":2,"relaxed":false},
        {"at_ms":38086,"act":"write","peer":1,"seed":2472480855742461,"changes":3,"relaxed":false},
        {"at_ms":38087,"act":"write","peer":1,"seed":1253888823130988,"changes":3,"relaxed":false},
        {"at_ms":53517,"act":"write","peer":1,"seed":14490538944833,"changes":3,"relaxed":false},
        {"at_ms":53519,"act":"write","peer":1,"seed":2442445460710724,"changes":2,"relaxed":false}]}"#,
    );
}

/// Records that had been held, and were applied with the one that they waited for, were told to nobody.
#[test]
fn what_was_held_is_told_once_it_is_applied() {
    holds(
        r#"{"seed":278,"peers":3,"steps":[
        {"at_ms":12934,"act":"crash","peer":2,"commits":1},
        {"at_ms":15648,"act":"write","peer":2,"seed":2862986684347896,"changes":2,"relaxed":true},
        {"at_ms":53003,"act":"write","peer":1,"seed":709459245023279,"changes":2,"relaxed":true},
        {"at_ms":55430,"act":"crash","peer":1,"commits":3},
        {"at_ms":56663,"act":"write","peer":0,"seed":4363403654872921,"changes":2,"relaxed":false},
        {"at_ms":56664,"act":"write","peer":0,"seed":4080891197247026,"changes":1,"relaxed":false},
        {"at_ms":71941,"act":"restart","peer":1,"disk":false}]}"#,
    );
}

/// A late reply took back what the peer had said in between.
#[test]
fn a_reply_that_is_overtaken_takes_nothing_back() {
    holds(
        r#"{"seed":74,"peers":4,"steps":[
        {"at_ms":39423,"act":"write","peer":2,"seed":2942560770089280,"changes":1,"relaxed":false},
        {"at_ms":42060,"act":"slow","peer":0,"factor":13},
        {"at_ms":45572,"act":"write","peer":3,"seed":1583706037065081,"changes":1,"relaxed":false},
        {"at_ms":45576,"act":"write","peer":3,"seed":1228172058268895,"changes":3,"relaxed":false},
        {"at_ms":45577,"act":"write","peer":3,"seed":3725836898534805,"changes":3,"relaxed":false},
        {"at_ms":45582,"act":"write","peer":3,"seed":1640715251318660,"changes":2,"relaxed":false},
        {"at_ms":45658,"act":"write","peer":3,"seed":3414719680420121,"changes":1,"relaxed":false},
        {"at_ms":45661,"act":"write","peer":3,"seed":1174136956773215,"changes":1,"relaxed":false},
        {"at_ms":45662,"act":"write","peer":3,"seed":511382650767157,"changes":1,"relaxed":false},
        {"at_ms":45665,"act":"write","peer":3,"seed":1815326324297003,"changes":3,"relaxed":false},
        {"at_ms":45666,"act":"write","peer":3,"seed":3335922318292666,"changes":2,"relaxed":false},
        {"at_ms":45669,"act":"write","peer":3,"seed":1432892008146738,"changes":2,"relaxed":false},
        {"at_ms":45670,"act":"write","peer":3,"seed":643858604650287,"changes":1,"relaxed":false},
        {"at_ms":45671,"act":"write","peer":3,"seed":4023586969369793,"changes":2,"relaxed":false},
        {"at_ms":45672,"act":"write","peer":3,"seed":4448809534067169,"changes":2,"relaxed":false},
        {"at_ms":45673,"act":"write","peer":3,"seed":4062402240303352,"changes":3,"relaxed":false},
        {"at_ms":45674,"act":"write","peer":3,"seed":1030268330714374,"changes":1,"relaxed":false}]}"#,
    );
}

/// What was known to be with a peer before it was here was never told to that peer.
#[test]
fn what_a_peer_said_it_had_is_told_when_it_is_here_too() {
    holds(
        r#"{"seed":429,"peers":7,"steps":[
        {"at_ms":5941,"act":"write","peer":5,"seed":482589662049947,"changes":1,"relaxed":false},
        {"at_ms":5942,"act":"write","peer":5,"seed":2922526750885350,"changes":3,"relaxed":false},
        {"at_ms":5943,"act":"write","peer":5,"seed":2093065924738038,"changes":2,"relaxed":false},
        {"at_ms":13622,"act":"clock","peer":2,"skew_ms":11559460},
        {"at_ms":21254,"act":"silent","peer":6,"for_ms":19573},
        {"at_ms":21700,"act":"write","peer":6,"seed":505761953728686,"changes":2,"relaxed":false},
        {"at_ms":21701,"act":"write","peer":6,"seed":4199716821189167,"changes":2,"relaxed":false},
        {"at_ms":33746,"act":"crash","peer":6,"commits":1},
        {"at_ms":39003,"act":"crash","peer":3,"commits":0},
        {"at_ms":49629,"act":"crash","peer":6,"commits":1},
        {"at_ms":50119,"act":"write","peer":2,"seed":853955212782253,"changes":3,"relaxed":false},
        {"at_ms":50652,"act":"restart","peer":6,"disk":true},
        {"at_ms":52580,"act":"silent","peer":2,"for_ms":14066},
        {"at_ms":57340,"act":"restart","peer":6,"disk":true},
        {"at_ms":58564,"act":"crash","peer":1,"commits":1},
        {"at_ms":58770,"act":"crash","peer":6,"commits":4},
        {"at_ms":69706,"act":"restart","peer":1,"disk":true}]}"#,
    );
}

/// What a peer said itself came after a reply that said more, and took it back.
#[test]
fn news_that_a_reply_overtook_take_nothing_back() {
    holds(
        r#"{"seed":684,"peers":3,"steps":[
        {"at_ms":1009,"act":"write","peer":0,"seed":109482650639462,"changes":1,"relaxed":false},
        {"at_ms":2350,"act":"cut","from":2,"to":1},
        {"at_ms":8657,"act":"heal","from":2,"to":1},
        {"at_ms":8657,"act":"heal","from":1,"to":2},
        {"at_ms":20130,"act":"silent","peer":1,"for_ms":19025},
        {"at_ms":23411,"act":"heal","from":1,"to":2},
        {"at_ms":23411,"act":"heal","from":2,"to":1},
        {"at_ms":24445,"act":"cut","from":1,"to":2},
        {"at_ms":24592,"act":"write","peer":0,"seed":905723014246615,"changes":1,"relaxed":false},
        {"at_ms":25017,"act":"write","peer":0,"seed":2188063697795181,"changes":2,"relaxed":true},
        {"at_ms":26046,"act":"write","peer":0,"seed":1488743149646781,"changes":2,"relaxed":true},
        {"at_ms":26047,"act":"write","peer":0,"seed":296878374532629,"changes":2,"relaxed":true},
        {"at_ms":26976,"act":"write","peer":2,"seed":3471934504674945,"changes":2,"relaxed":false},
        {"at_ms":30423,"act":"write","peer":2,"seed":2968163770636250,"changes":1,"relaxed":false},
        {"at_ms":30424,"act":"write","peer":2,"seed":3637856354588917,"changes":1,"relaxed":false},
        {"at_ms":32313,"act":"write","peer":0,"seed":2859566601549302,"changes":3,"relaxed":true},
        {"at_ms":34524,"act":"heal","from":1,"to":2},
        {"at_ms":34524,"act":"heal","from":2,"to":1},
        {"at_ms":38404,"act":"heal","from":2,"to":0},
        {"at_ms":38404,"act":"heal","from":0,"to":2},
        {"at_ms":39105,"act":"write","peer":0,"seed":4179106222503811,"changes":3,"relaxed":false},
        {"at_ms":39106,"act":"write","peer":0,"seed":1414487871541414,"changes":3,"relaxed":false},
        {"at_ms":39107,"act":"write","peer":0,"seed":3444164391852672,"changes":1,"relaxed":false},
        {"at_ms":39851,"act":"write","peer":1,"seed":531818493087201,"changes":2,"relaxed":false},
        {"at_ms":39852,"act":"write","peer":1,"seed":441775665974663,"changes":2,"relaxed":false},
        {"at_ms":39853,"act":"write","peer":1,"seed":401670143661180,"changes":2,"relaxed":false},
        {"at_ms":43956,"act":"silent","peer":0,"for_ms":6920},
        {"at_ms":49347,"act":"write","peer":1,"seed":1428710083947165,"changes":1,"relaxed":true},
        {"at_ms":49379,"act":"cut","from":0,"to":1},
        {"at_ms":49379,"act":"cut","from":1,"to":0},
        {"at_ms":56219,"act":"write","peer":0,"seed":1218345240716714,"changes":3,"relaxed":false},
        {"at_ms":56220,"act":"write","peer":0,"seed":2376379821065297,"changes":3,"relaxed":false},
        {"at_ms":58110,"act":"heal","from":0,"to":1},
        {"at_ms":58110,"act":"heal","from":1,"to":0}]}"#,
    );
}

/// A late reply took back what the peer had shown by a push in between.
#[test]
fn a_push_that_a_reply_overtook_is_not_taken_back() {
    holds(
        r#"{"seed":74,"peers":4,"steps":[
        {"at_ms":39423,"act":"write","peer":2,"seed":2942560770089280,"changes":1,"relaxed":false},
        {"at_ms":42060,"act":"slow","peer":0,"factor":13},
        {"at_ms":45572,"act":"write","peer":3,"seed":1583706037065081,"changes":1,"relaxed":false},
        {"at_ms":45576,"act":"write","peer":3,"seed":1228172058268895,"changes":3,"relaxed":false},
        {"at_ms":45577,"act":"write","peer":3,"seed":3725836898534805,"changes":3,"relaxed":false},
        {"at_ms":45582,"act":"write","peer":3,"seed":1640715251318660,"changes":2,"relaxed":false},
        {"at_ms":45658,"act":"write","peer":3,"seed":3414719680420121,"changes":1,"relaxed":false},
        {"at_ms":45661,"act":"write","peer":3,"seed":1174136956773215,"changes":1,"relaxed":false},
        {"at_ms":45662,"act":"write","peer":3,"seed":511382650767157,"changes":1,"relaxed":false},
        {"at_ms":45665,"act":"write","peer":3,"seed":1815326324297003,"changes":3,"relaxed":false},
        {"at_ms":45666,"act":"write","peer":3,"seed":3335922318292666,"changes":2,"relaxed":false},
        {"at_ms":45669,"act":"write","peer":3,"seed":1432892008146738,"changes":2,"relaxed":false},
        {"at_ms":45670,"act":"write","peer":3,"seed":643858604650287,"changes":1,"relaxed":false},
        {"at_ms":45671,"act":"write","peer":3,"seed":4023586969369793,"changes":2,"relaxed":false},
        {"at_ms":45672,"act":"write","peer":3,"seed":4448809534067169,"changes":2,"relaxed":false},
        {"at_ms":45673,"act":"write","peer":3,"seed":4062402240303352,"changes":3,"relaxed":false},
        {"at_ms":45674,"act":"write","peer":3,"seed":1030268330714374,"changes":1,"relaxed":false}]}"#,
    );
}

/// A request that was long on its way took back what a reply had said since.
#[test]
fn a_request_that_a_reply_overtook_takes_nothing_back() {
    holds(
        r#"{"seed":74,"peers":8,"steps":[
        {"at_ms":25023,"act":"write","peer":2,"seed":272138200307528,"changes":1,"relaxed":true},
        {"at_ms":29781,"act":"slow","peer":5,"factor":30},
        {"at_ms":46185,"act":"write","peer":2,"seed":1700519964814198,"changes":3,"relaxed":false},
        {"at_ms":48906,"act":"slow","peer":5,"factor":1},
        {"at_ms":49986,"act":"write","peer":2,"seed":209641010336395,"changes":3,"relaxed":true}]}"#,
    );
}
