# Sourced by run: what people see of a gateway.

# told NAME PATTERN COMMAND...: a command's output, kept as seen-NAME.txt, has a line like PATTERN
told() {
    local name=$1 pattern=$2; shift 2
    "$GATEWAY" "$@" --socket "$W/control.sock" > "$W/seen-$name.txt" 2>&1 \
        || { problem "gateway $*: status $?: $(tail -1 "$W/seen-$name.txt")"; return 1; }
    grep -qE "$pattern" "$W/seen-$name.txt" || problem "gateway $* does not say /$pattern/, see seen-$name.txt"
}

# status_of NUMBER COMMAND...: the exit status of a command
status_of() {
    local expected=$1 got; shift
    "$GATEWAY" "$@" > "$W/seen-exit.txt" 2>&1; got=$?
    [ $got = "$expected" ] || problem "gateway $*: exit status $got, not $expected: $(tail -1 "$W/seen-exit.txt")"
}

connection_is_up() {
    "$GATEWAY" sessions --socket "$W/control.sock" 2>/dev/null | grep -q "$1 .*$2 .*connected"
}

scenario commands "every command against a live connection, kick, and explain after wrong key and wrong password"
scenario_commands() {
    status_of 4 status --socket "$W/control.sock"
    GATEWAY_OPTIONS='metrics_listen = "127.0.0.1:9476"' gateway_up || return
    [ "$(stat -c '%a %u' "$W/control.sock")" = "600 0" ] || problem "control socket: $(stat -c '%a %u' "$W/control.sock")"
    told capture-start 'capturing to' capture start --file "$W/seen.pcapng" --max-bytes 2000000
    client PPP_USER=dialin1 PPP_PASSWORD=friend1 HOLD_SECONDS=40 MEGABYTES=1 &
    local client_pid=$!
    wait_for 60 "dialin1 is connected" connection_is_up dialin1 192.168.200.50 || return
    wait_for 30 "dialin1 sends something" eval '"$GATEWAY" flows --socket "$W/control.sock" | grep -q "^dialin1 .*$LAN_HOST"' || return
    local id
    id=$("$GATEWAY" sessions --socket "$W/control.sock" --json | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["sessions"][0]["id"])')
    told status '1 ISAKMP SA, 1 ESP SA pair, 1 tunnel, 1 session' status
    told sessions "^ *$id +dialin1 +192.168.200.50 +connected +198.51.100.2:[0-9]+ +client +AES_CBC" sessions
    told session 'peer +198.51.100.2:' session "$id"
    told sas "^ESP +$id +198.51.100.2:" sas
    told xfrm '^src 198.51.100.2 dst 198.51.100.1$' sas --format ip-xfrm
    told flows "^dialin1 +(icmp|tcp) .*$LAN_HOST" flows --user dialin1
    # As on a terminal of this size, for three looks.
    (sleep 3.5; printf q) | TERM=xterm script -qec "stty cols 120 rows 30; exec '$GATEWAY' top --socket '$W/control.sock'" /dev/null > "$W/seen-top.txt" 2>&1 \
        || problem "gateway top: status $?"
    for what in 'gateway top: 1 connected, in ' 'dialin1' '192.168.200.50' '198.51.100.2:'; do
        grep -q "$what" "$W/seen-top.txt" || problem "gateway top does not show $what"
    done
    told users "^dialin1 +192.168.200.50 +$id " users
    told explain-up 'dialin1 is connected' explain dialin1
    told counters '^LAYER +REASON +COUNT' counters
    told prometheus '^gateway_ppp_sessions 1$' counters --prometheus
    told keylog-on 'session keys go to' keylog on --folder "$W/more-keys"
    [ -s "$W/more-keys/ikev1_decryption_table" ] || problem "no key of the SA that was up"
    told keylog-off 'not written' keylog off
    in_ns gw "$PYTHON" -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:9476/metrics", timeout=5).read().decode())' > "$W/seen-http.txt" 2>&1
    grep -q '^gateway_esp_bytes_total{dir="in"} [1-9]' "$W/seen-http.txt" || problem "metrics over HTTP, see seen-http.txt"
    status_of 3 session 999999 --socket "$W/control.sock"
    status_of 3 kick nobody --socket "$W/control.sock"
    status_of 2 explain
    told kick "ended: $id" kick dialin1
    wait_for 20 "the session that was kicked is gone" eval '! connection_is_up dialin1 192.168.200.50'
    told capture-stop 'captured:' capture stop
    local seen
    seen=$(tshark -r "$W/seen.pcapng" -T fields -e frame.interface_name 2>> "$W/tshark.err" | sort | uniq -c)
    for interface in outer inner "ike decrypted"; do
        grep -q " $interface\$" <<< "$seen" || problem "nothing captured on $interface: $seen"
    done
    # Read without any key: main mode's identity, and quick mode's SA with the algorithms of ESP.
    local ike='frame.interface_name == "ike decrypted"'
    for what in 'isakmp.exchangetype == 2 && isakmp.typepayload == 5' 'isakmp.exchangetype == 32 && isakmp.trans.id == 12'; do
        [ -n "$(tshark -r "$W/seen.pcapng" -Y "$ike && $what" 2>> "$W/tshark.err")" ] \
            || problem "tshark does not read decrypted IKE: $what"
    done
    [ -z "$(tshark -r "$W/seen.pcapng" -Y "$ike && (_ws.malformed || !isakmp)" 2>> "$W/tshark.err")" ] \
        || problem "decrypted IKE that tshark does not understand"
    [ "$(stat -c %a "$W/seen.pcapng")" = 600 ] || problem "mode of the capture"
    wait $client_pid
    expect_nothing_left 30
    # One number in every line of the client, from main mode to the end.
    local strangers
    strangers=$(grep -E ' layer="' "$W/gateway.log" | grep -vc "conn=$id\b")
    [ "$strangers" = 0 ] || problem "$strangers lines without conn=$id"

    client PSK=somethingelse456
    told explain-psk 'authentication_failed' explain 198.51.100.2
    grep -q 'Windows shows error 789' "$W/seen-explain-psk.txt" || problem "explain does not name error 789"
    client PPP_USER=dialin2 PPP_PASSWORD=enemy
    told explain-password 'user dialin2: failed in authentication bad_password' explain dialin2
    grep -q 'Windows shows error 691' "$W/seen-explain-password.txt" || problem "explain does not name error 691"
    status_of 3 explain 203.0.113.99 --socket "$W/control.sock"
    expect_nothing_left 75
}
