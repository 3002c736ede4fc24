//! The automaton against the state transition table of RFC 1661 section 4.1, cell by cell.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on has failed"
)]

use ppp::{Action, AutomatonEvent as Event, State, transition};

/// States 0 to 9 as columns; an action list and the next state in each cell. The marks r
/// (restart), p (passive) and x (crossed) of the RFC are options and notes, not states.
const TABLE: &str = "
Up   | 2      irc,scr/6 -         -             -     -     -         -         -         -
Down | -      -         0         tls/1         0     1     1         1         1         tld/1
Open | tls/1  1         irc,scr/6 3r            5r    5r    6         7         8         9r
Close| 0      tlf/0     2         2             4     4     irc,str/4 irc,str/4 irc,str/4 tld,irc,str/4
TO+  | -      -         -         -             str/4 str/5 scr/6     scr/6     scr/8     -
TO-  | -      -         -         -             tlf/2 tlf/3 tlf/3p    tlf/3p    tlf/3p    -
RCR+ | -      -         sta/2     irc,scr,sca/8 4     5     sca/8     sca,tlu/9 sca/8     tld,scr,sca/8
RCR- | -      -         sta/2     irc,scr,scn/6 4     5     scn/6     scn/7     scn/6     tld,scr,scn/6
RCA  | -      -         sta/2     sta/3         4     5     irc/7     scr/6x    irc,tlu/9 tld,scr/6x
RCN  | -      -         sta/2     sta/3         4     5     irc,scr/6 scr/6x    irc,scr/8 tld,scr/6x
RTR  | -      -         sta/2     sta/3         sta/4 sta/5 sta/6     sta/6     sta/6     tld,zrc,sta/5
RTA  | -      -         2         3             tlf/2 tlf/3 6         6         8         tld,scr/6
RUC  | -      -         scj/2     scj/3         scj/4 scj/5 scj/6     scj/7     scj/8     scj/9
RXJ+ | -      -         2         3             4     5     6         6         8         9
RXJ- | -      -         tlf/2     tlf/3         tlf/2 tlf/3 tlf/3     tlf/3     tlf/3     tld,irc,str/5
RXR  | -      -         2         3             4     5     6         7         8         ser/9
";

fn action(word: &str) -> Action {
    match word {
        "tlu" => Action::LayerUp,
        "tld" => Action::LayerDown,
        "tls" => Action::LayerStarted,
        "tlf" => Action::LayerFinished,
        "irc" => Action::InitRestartCount,
        "zrc" => Action::ZeroRestartCount,
        "scr" => Action::SendConfigureRequest,
        "sca" => Action::SendConfigureAck,
        "scn" => Action::SendConfigureNak,
        "str" => Action::SendTerminateRequest,
        "sta" => Action::SendTerminateAck,
        "scj" => Action::SendCodeReject,
        "ser" => Action::SendEchoReply,
        other => panic!("{other}"),
    }
}

fn cell(text: &str) -> Option<(State, Vec<Action>)> {
    if text == "-" {
        return None;
    }
    let (actions, state) = text.rsplit_once('/').unwrap_or(("", text));
    let number: usize = state.trim_end_matches(['r', 'p', 'x']).parse().unwrap();
    let actions = actions.split(',').filter(|a| !a.is_empty()).map(action);
    Some((State::ALL[number], actions.collect()))
}

#[test]
fn every_cell_of_the_table() {
    let rows: Vec<_> = TABLE.lines().filter(|l| !l.is_empty()).collect();
    assert_eq!(rows.len(), Event::ALL.len());
    for (event, row) in Event::ALL.into_iter().zip(rows) {
        let (name, cells) = row.split_once('|').unwrap();
        let cells: Vec<_> = cells.split_whitespace().collect();
        assert_eq!(cells.len(), State::ALL.len(), "{name}");
        for (state, text) in State::ALL.into_iter().zip(cells) {
            let ours = transition(state, event).map(|(next, actions)| (next, actions.to_vec()));
            assert_eq!(ours, cell(text), "{name} in {state:?}");
        }
    }
}
