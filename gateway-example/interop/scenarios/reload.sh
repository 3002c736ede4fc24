# Sourced by run: a configuration taken anew while a client is connected.

# rewritten COMMANDS: office.toml by these commands of sed, as a whole
rewritten() { sed "$1" "$W/office.toml" > "$W/office.new" && mv "$W/office.new" "$W/office.toml"; }

# reloaded PATTERN: by command, whose output has this line
reloaded() { told reload "$1" reload; }

# hung_up PATTERN: by SIGHUP, after which the log has one more such line
hung_up() {
    local before
    before=$(grep -cE "$1" "$W/gateway.log")
    kill -HUP "$GATEWAY_PID"
    wait_for 10 "SIGHUP leads to /$1/" eval "[ \$(grep -cE '$1' '$W/gateway.log') -gt $before ]"
}

# metric NAME: its value
metric() { "$GATEWAY" counters --prometheus --socket "$W/control.sock" | sed -n "s/^gateway_$1 //p"; }

# leads_to ADDRESS: its own route, and ARP's answer for it
leads_to() { ip -n "${P}gw" route show "$1/32"; ip -n "${P}gw" neigh show proxy "$1"; }

# reaches YES: whether a new TCP connection of rw reaches the office
reaches() {
    if in_ns rw timeout 4 "$PYTHON" "$HERE/transfer.py" run $LAN_HOST 5001 1 > "$W/transfer.log" 2>&1; then
        [ "$1" = yes ] || problem "the firewall lets through what the new rule denies"
    else
        [ "$1" = no ] || problem "the firewall stops what the new rules let through"
    fi
}

scenario reload "users, rules, key and pool change by SIGHUP and by command while a client pings"
scenario_reload() {
    GATEWAY_OPTIONS='metrics_listen = "127.0.0.1:9476"' LAN_MORE='interface = "vlan1"' gateway_up || return
    client HOLD_SECONDS=45 MEGABYTES=1 &
    local client_pid=$!
    wait_for 60 "dialin2 is connected" connection_is_up dialin2 192.168.200.10 || return
    [ -n "$(leads_to 192.168.200.50)" ] || problem "dialin1's address is not routed"

    # What would change is told, and changes nothing.
    cp "$W/office.toml" "$W/other.toml"
    cat >> "$W/other.toml" <<X
[[user]]
name = "dialin3"
password = "friend3"
X
    sed -i -e 's/200.10-192.168.200.99/200.30-192.168.200.99/' -e "s/$PSK/another5key6of7twenty8letters/" "$W/other.toml"
    told diff '^~ pool.range = "192.168.200.10-192.168.200.99" -> "192.168.200.30-192.168.200.99"$' check --config "$W/other.toml" --diff
    grep -qE '^\+ user.dialin3.password = ' "$W/seen-diff.txt" || problem "the new user is not in the difference"
    grep -qE '^~ psk.1.secret = ' "$W/seen-diff.txt" || problem "the new key is not in the difference"
    grep -qE 'friend3|twenty8letters' "$W/seen-diff.txt" && problem "the difference shows a secret"
    reloaded '^no difference$'

    # By SIGHUP: a user, the key, the pool, and a rule that keeps new connections from the office.
    cp "$W/other.toml" "$W/office.toml"
    cat >> "$W/office.toml" <<X
[[firewall.rule]]
action = "deny"
from = "clients"
protocol = "tcp"
ports = "5001"
X
    hung_up 'configuration is taken anew changes='
    [ -n "$(leads_to 192.168.200.50)" ] || problem "dialin1's address is no longer routed"
    [ "$(metric config_last_reload_successful)" = 1 ] || problem "metrics tell of no reload"
    PSK=another5key6of7twenty8letters WARRIOR_USER=dialin3 warrior_up 192.168.8.0/24
    grep -q 'connected address=192.168.200.3[0-9]' "$W/warrior.log" || problem "not of the new pool: $(tail -1 "$W/warrior.log")"
    in_ns rw ping -c 2 -w 5 $LAN_HOST > "$W/ping.log" 2>&1 || problem "the new user reaches nothing"
    reaches no

    # By command: without the rule, and without dialin1.
    rewritten '/^\[\[firewall.rule\]\]/,$d; /^name = "dialin1"/,/^address/d'
    rewritten '/^\[\[user\]\]$/{N;/\n$/d}'
    reloaded '^- user.dialin1.address = '
    reaches yes
    [ -z "$(leads_to 192.168.200.50)" ] || problem "still there for dialin1: $(leads_to 192.168.200.50)"

    # What is wrong changes nothing, and is told either way.
    cp "$W/office.toml" "$W/good.toml"
    rewritten 's/^\[lan\]$/[lan]\nnetwork = 1/'
    hung_up 'configuration stays as it was: '
    status_of 1 reload --socket "$W/control.sock"
    grep -q 'unknown field `network`' "$W/seen-exit.txt" || problem "reload does not say what is wrong: $(cat "$W/seen-exit.txt")"
    [ "$(metric config_last_reload_successful)" = 0 ] || problem "metrics do not tell of the refused file"
    cp "$W/good.toml" "$W/office.toml"
    rewritten 's/127.0.0.1:9476/127.0.0.1:9477/'
    told restart '^~ gateway.metrics_listen = .*needs a restart' check --config "$W/office.toml" --diff
    status_of 1 reload --socket "$W/control.sock"
    grep -q 'only a restart changes gateway.metrics_listen' "$W/seen-exit.txt" || problem "reload does not name what needs a restart"
    cp "$W/good.toml" "$W/office.toml"
    reloaded '^no difference$'

    # A user who goes loses the connection, and nobody else does.
    rewritten '/^\[\[user\]\]$/{N;/dialin3/{N;d}}'
    reloaded '^- user.dialin3.password = '
    wait_for 5 "dialin3 is out" eval '! connection_is_up dialin3 ""'
    kill -INT "$WARRIOR_PID" 2>/dev/null
    wait $client_pid
    expect "hold sent=[0-9]+ lost=0"
    sed -i '/ERROR.*configuration stays as it was/d' "$W/gateway.log"
    connected 192.168.200.10
}
