//! What once failed, as small as it got.

use threads_conformance::sim::lab::Lab;
use threads_conformance::sim::run::run;
use threads_conformance::sim::script::Script;

fn holds(script: &str) {
    let script: Script = script.parse().unwrap();
    let ruled = super::ruled();
    let lab: &dyn Lab = if script.rules { &ruled } else { &super::lab() };
    if let Err(failure) = run(lab, &script, None) {
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

/// What a push showed was taken back by a reply that was older.
#[test]
fn a_push_is_not_overtaken_by_an_older_reply() {
    holds(
        r#"{"seed":218,"peers":4,"steps":[
        {"at_ms":5732,"act":"write","peer":2,"seed":4355603514364441,"changes":2,"relaxed":false},
        {"at_ms":5867,"act":"slow","peer":0,"factor":36},
        {"at_ms":11110,"act":"write","peer":0,"seed":4146325056395136,"changes":2,"relaxed":false},
        {"at_ms":17818,"act":"slow","peer":0,"factor":1},
        {"at_ms":21394,"act":"write","peer":0,"seed":84791340460112,"changes":3,"relaxed":true}]}"#,
    );
}

/// A record that builds on the other branch of a fork was held for ever.
#[test]
fn a_dep_on_another_branch_finds_the_fork() {
    holds(
        r#"{"seed":66,"peers":2,"steps":[
        {"at_ms":49383,"act":"write","peer":1,"seed":1837272419406487,"changes":3,"relaxed":false},
        {"at_ms":57940,"act":"backup","peer":1},
        {"at_ms":57941,"act":"write","peer":1,"seed":3664700659296039,"changes":3,"relaxed":false},
        {"at_ms":59342,"act":"write","peer":0,"seed":919217361729376,"changes":3,"relaxed":false},
        {"at_ms":73363,"act":"crash","peer":1,"commits":0},
        {"at_ms":73486,"act":"put_back","peer":1},
        {"at_ms":73487,"act":"write","peer":1,"seed":2147637111529729,"changes":2,"relaxed":false}]}"#,
    );
}

/// A branch that was dated ahead was asked for without a pause.
#[test]
fn a_branch_that_is_dated_ahead_is_asked_for_with_pauses() {
    holds(
        r#"{"seed":29,"peers":2,"steps":[
        {"at_ms":5394,"act":"write","peer":1,"seed":4332216813701279,"changes":1,"relaxed":false},
        {"at_ms":23472,"act":"backup","peer":1},
        {"at_ms":23474,"act":"write","peer":1,"seed":1321033273424873,"changes":1,"relaxed":false},
        {"at_ms":33688,"act":"clock","peer":1,"skew_ms":70907836},
        {"at_ms":38675,"act":"cut","from":0,"to":1},
        {"at_ms":40933,"act":"crash","peer":1,"commits":0},
        {"at_ms":42320,"act":"put_back","peer":1},
        {"at_ms":45196,"act":"write","peer":1,"seed":3317886691985067,"changes":3,"relaxed":false},
        {"at_ms":45197,"act":"write","peer":1,"seed":2476585428849428,"changes":2,"relaxed":false},
        {"at_ms":46386,"act":"heal","from":0,"to":1},
        {"at_ms":59087,"act":"write","peer":0,"seed":1781201230048698,"changes":1,"relaxed":false},
        {"at_ms":67120,"act":"slow","peer":0,"factor":1}]}"#,
    );
}

/// What a peer said it has was lost on the way, and it was never asked.
#[test]
fn who_was_told_and_says_nothing_is_asked() {
    holds(
        r#"{"seed":37,"peers":3,"steps":[
        {"at_ms":2399,"act":"crash","peer":2,"commits":4},
        {"at_ms":3868,"act":"restart","peer":2,"disk":true},
        {"at_ms":4666,"act":"crash","peer":2,"commits":1},
        {"at_ms":6414,"act":"write","peer":1,"seed":2176896649187763,"changes":3,"relaxed":false},
        {"at_ms":7977,"act":"write","peer":0,"seed":1982972011480832,"changes":2,"relaxed":false},
        {"at_ms":7978,"act":"write","peer":0,"seed":4079338864246502,"changes":2,"relaxed":false},
        {"at_ms":8437,"act":"restart","peer":2,"disk":true},
        {"at_ms":16062,"act":"crash","peer":0,"commits":4},
        {"at_ms":18560,"act":"restart","peer":0,"disk":true},
        {"at_ms":26845,"act":"crash","peer":1,"commits":3},
        {"at_ms":27940,"act":"crash","peer":2,"commits":0},
        {"at_ms":28147,"act":"write","peer":0,"seed":1488654319339836,"changes":3,"relaxed":true},
        {"at_ms":32120,"act":"write","peer":0,"seed":490368860863704,"changes":3,"relaxed":false},
        {"at_ms":32121,"act":"write","peer":0,"seed":4195053901079592,"changes":1,"relaxed":false},
        {"at_ms":37248,"act":"write","peer":0,"seed":3000584127132897,"changes":3,"relaxed":false},
        {"at_ms":37249,"act":"write","peer":0,"seed":2023414014463971,"changes":2,"relaxed":false},
        {"at_ms":37466,"act":"crash","peer":0,"commits":0},
        {"at_ms":44652,"act":"restart","peer":1,"disk":true},
        {"at_ms":47069,"act":"restart","peer":0,"disk":true},
        {"at_ms":48061,"act":"restart","peer":2,"disk":false},
        {"at_ms":51609,"act":"write","peer":1,"seed":695449625004690,"changes":3,"relaxed":false},
        {"at_ms":51610,"act":"write","peer":1,"seed":21392109264012,"changes":2,"relaxed":false},
        {"at_ms":51611,"act":"write","peer":1,"seed":3459017967009894,"changes":3,"relaxed":false},
        {"at_ms":53793,"act":"write","peer":1,"seed":591487554670645,"changes":3,"relaxed":false},
        {"at_ms":54072,"act":"write","peer":2,"seed":1953059303016710,"changes":3,"relaxed":false},
        {"at_ms":54073,"act":"write","peer":2,"seed":1337441206224873,"changes":1,"relaxed":false},
        {"at_ms":55977,"act":"write","peer":2,"seed":1655653187537889,"changes":3,"relaxed":false},
        {"at_ms":55978,"act":"write","peer":2,"seed":2029369439509871,"changes":3,"relaxed":false},
        {"at_ms":56022,"act":"crash","peer":2,"commits":4},
        {"at_ms":56155,"act":"write","peer":2,"seed":2501325045821972,"changes":1,"relaxed":true},
        {"at_ms":56156,"act":"write","peer":2,"seed":2734515185260468,"changes":2,"relaxed":true},
        {"at_ms":56675,"act":"restart","peer":2,"disk":false}]}"#,
    );
}

/// Who asked for older records of a log whose holder knew of the fork already forgot the branches that it
/// had been told of.
#[test]
fn branches_are_pulled_from_who_knows_of_the_fork_already() {
    holds(
        r#"{"seed":354,"peers":2,"steps":[
        {"at_ms":886,"act":"write","peer":1,"seed":1312744399003601,"changes":3,"relaxed":false},
        {"at_ms":887,"act":"write","peer":1,"seed":4406612427746016,"changes":3,"relaxed":false},
        {"at_ms":2494,"act":"write","peer":0,"seed":2597129649176233,"changes":2,"relaxed":false},
        {"at_ms":14664,"act":"write","peer":0,"seed":1788455037935285,"changes":2,"relaxed":true},
        {"at_ms":21213,"act":"backup","peer":1},
        {"at_ms":21214,"act":"write","peer":1,"seed":4324618636094496,"changes":3,"relaxed":false},
        {"at_ms":23654,"act":"crash","peer":1,"commits":0},
        {"at_ms":23842,"act":"write","peer":0,"seed":326671865731048,"changes":3,"relaxed":false},
        {"at_ms":25018,"act":"put_back","peer":1},
        {"at_ms":25019,"act":"write","peer":1,"seed":2586378943251756,"changes":1,"relaxed":true},
        {"at_ms":27678,"act":"write","peer":0,"seed":2473753153799145,"changes":2,"relaxed":true}]}"#,
    );
}

/// What a peer had told of and lost for good was thought to be there for ever.
#[test]
fn who_has_the_same_has_nothing_more() {
    holds(
        r#"{"seed":1145,"peers":3,"steps":[
        {"at_ms":4587,"act":"crash","peer":2,"commits":1},
        {"at_ms":11586,"act":"backup","peer":2},
        {"at_ms":11886,"act":"write","peer":2,"seed":2937160208659516,"changes":2,"relaxed":false},
        {"at_ms":12913,"act":"restart","peer":2,"disk":true},
        {"at_ms":14241,"act":"crash","peer":2,"commits":0},
        {"at_ms":15911,"act":"put_back","peer":2}]}"#,
    );
}

/// What came and was put in quarantine was told to nobody.
#[test]
fn what_is_in_quarantine_is_told_too() {
    holds(
        r#"{"seed":5,"peers":3,"rules":true,"steps":[
        {"at_ms":2986,"act":"clock","peer":2,"skew_ms":-70239428},
        {"at_ms":26309,"act":"state","peer":0,"says":{"revoke":{"from":2,"scope":"thread","role":"write"}}},
        {"at_ms":43179,"act":"write","peer":2,"seed":3189228633205639,"changes":1,"relaxed":false}]}"#,
    );
}

/// A node whose clock was behind learned a statement after those that name it.
#[test]
fn rules_do_not_wait_for_a_clock() {
    holds(
        r#"{"seed":5,"peers":3,"rules":true,"steps":[
        {"at_ms":2986,"act":"clock","peer":2,"skew_ms":-70239428},
        {"at_ms":12447,"act":"state","peer":0,"says":{"grant":{"to":1,"scope":"acl","role":"write"}}},
        {"at_ms":27595,"act":"clock","peer":2,"skew_ms":-1337},
        {"at_ms":27743,"act":"state","peer":1,"says":{"grant":{"to":null,"scope":"thread","role":"delete"}}}]}"#,
    );
}

/// What was asked before a removal and answered after it had the thread shared with the removed peer again.
#[test]
fn who_is_removed_while_it_is_answered_is_told_nothing_more() {
    holds(
        r#"{"seed":282,"peers":4,"rules":true,"blind":[2],"steps":[
        {"at_ms":4815,"act":"state","peer":0,"says":{"grant":{"to":3,"scope":"acl","role":"write"}}},
        {"at_ms":8797,"act":"write","peer":3,"seed":4042192637752343,"changes":3,"relaxed":true},
        {"at_ms":10439,"act":"write","peer":3,"seed":2503283851388874,"changes":3,"relaxed":false},
        {"at_ms":13223,"act":"state","peer":0,"says":{"grant":{"to":1,"scope":"acl","role":"write"}}},
        {"at_ms":13248,"act":"write","peer":3,"seed":592962556872031,"changes":3,"relaxed":true},
        {"at_ms":15490,"act":"write","peer":3,"seed":2451520967414037,"changes":3,"relaxed":false},
        {"at_ms":15774,"act":"state","peer":0,"says":{"grant":{"to":3,"scope":"thread","role":"delete"}}},
        {"at_ms":16055,"act":"write","peer":0,"seed":2724955483265774,"changes":3,"relaxed":true},
        {"at_ms":16532,"act":"write","peer":1,"seed":4118110342065315,"changes":2,"relaxed":false},
        {"at_ms":16533,"act":"write","peer":1,"seed":2650516272255913,"changes":1,"relaxed":false},
        {"at_ms":17009,"act":"state","peer":1,"says":{"revoke":{"from":1,"scope":{"entity":1},"role":"write"}}},
        {"at_ms":18213,"act":"write","peer":1,"seed":1185853073102423,"changes":3,"relaxed":false},
        {"at_ms":18215,"act":"write","peer":1,"seed":44468489452516,"changes":3,"relaxed":false},
        {"at_ms":25791,"act":"state","peer":1,"says":{"restrict":{"entity":5}}},
        {"at_ms":25823,"act":"state","peer":1,"says":{"revoke":{"from":1,"scope":"thread","role":"replicate"}}}]}"#,
    );
}

/// An entity whose creation is in quarantine could not be changed any more.
#[test]
fn what_remains_of_an_entity_can_be_changed() {
    holds(
        r#"{"seed":343,"peers":4,"rules":true,"blind":[2],"steps":[
        {"at_ms":4399,"act":"state","peer":0,"says":{"grant":{"to":1,"scope":"acl","role":"write"}}},
        {"at_ms":10714,"act":"state","peer":3,"says":"leave"},
        {"at_ms":11619,"act":"state","peer":0,"says":{"grant":{"to":3,"scope":"acl","role":"write"}}},
        {"at_ms":17663,"act":"state","peer":1,"says":{"grant":{"to":3,"scope":"thread","role":"write"}}},
        {"at_ms":23952,"act":"write","peer":1,"seed":1625182572154903,"changes":3,"relaxed":false},
        {"at_ms":24018,"act":"write","peer":1,"seed":3861157890031072,"changes":2,"relaxed":false},
        {"at_ms":36945,"act":"state","peer":3,"says":{"restrict":{"entity":4}}},
        {"at_ms":50690,"act":"write","peer":1,"seed":2188872191952091,"changes":3,"relaxed":true}]}"#,
    );
}

/// Who may read no more knew the time of the record that a branch is off, and not that of the branch, which was
/// verified first.
#[test]
fn a_branch_that_cannot_be_read_any_more_comes_after_what_it_is_off() {
    holds(
        r#"{"seed":557,"peers":6,"rules":true,"blind":[2,4],"steps":[
        {"at_ms":9967,"act":"state","peer":0,"says":{"grant":{"to":3,"scope":"acl","role":"write"}}},
        {"at_ms":39975,"act":"state","peer":3,"says":{"revoke":{"from":5,"scope":"thread","role":"read"}}},
        {"at_ms":41306,"act":"backup","peer":3},
        {"at_ms":41307,"act":"write","peer":3,"seed":1814228805674125,"changes":3,"relaxed":true},
        {"at_ms":45430,"act":"crash","peer":3,"commits":0},
        {"at_ms":45542,"act":"put_back","peer":3},
        {"at_ms":45543,"act":"write","peer":3,"seed":3147556358465066,"changes":1,"relaxed":false}]}"#,
    );
}
