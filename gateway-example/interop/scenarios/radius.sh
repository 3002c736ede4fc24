# Sourced by run: users whom FreeRADIUS knows, in the office at $LAN_HOST and $SECOND_HOST.

SECOND_HOST=192.168.8.11
RADIUS_SECRET=between-office-and-gateway

# radius_up NAME ADDRESS: a FreeRADIUS of its own; its process number goes to RADIUS_PID
radius_up() {
    local dir=$W/$1 address=$2
    mkdir -p "$dir" && ln -sf /usr/share/freeradius/dictionary "$dir/dictionary"
    cat > "$dir/users" <<X
carol Cleartext-Password := "friend5"
    Framed-IP-Address = 192.168.40.7,
    MS-Primary-DNS-Server = $LAN_HOST,
    Class = 0x726f6164

dave Cleartext-Password := "friend6"
    Session-Timeout = 6,
    Framed-Pool = "guests"
X
    # Without the update section this version leaves the Message-Authenticator out, and the gateway drops the reply.
    cat > "$dir/radiusd.conf" <<X
raddbdir = $dir
logdir = $dir
run_dir = $dir
libdir = /usr/lib/freeradius
pidfile = $dir/pid
cleanup_delay = 0
security {
    reject_delay = 0
    status_server = no
}
client gateway {
    ipaddr = 192.168.8.1
    secret = $RADIUS_SECRET
    require_message_authenticator = yes
}
modules {
    pap {
    }
    chap {
    }
    mschap {
        use_mppe = no
    }
    files {
        usersfile = $dir/users
    }
    detail {
        filename = $dir/detail
        permissions = 0600
    }
}
server default {
    listen {
        type = auth
        ipaddr = $address
        port = 1812
    }
    listen {
        type = acct
        ipaddr = $address
        port = 1813
    }
    authorize {
        chap
        mschap
        files
        pap
    }
    authenticate {
        Auth-Type PAP {
            pap
        }
        Auth-Type CHAP {
            chap
        }
        Auth-Type MS-CHAP {
            mschap
        }
    }
    accounting {
        detail
    }
    post-auth {
        update reply {
            Message-Authenticator := 0x00
        }
        Post-Auth-Type REJECT {
            update reply {
                Message-Authenticator := 0x00
            }
        }
    }
}
X
    ip -n "${P}lan" addr add "$address/24" dev eth0 2>/dev/null
    exec_in_ns lan freeradius -f -l stdout -x -d "$dir" > "$dir/log" 2>&1 &
    RADIUS_PID=$!
    JOBS_PIDS+=($RADIUS_PID)
    wait_for 10 "FreeRADIUS is ready" grep -q 'Ready to process requests' "$dir/log"
}

# office_up [SERVER...]: the gateway with these RADIUS servers
office_up() {
    MORE=$(
        printf '[pool.named]\nguests = "192.168.201.10-192.168.201.19"\n'
        printf '[radius]\nnas_identifier = "office"\ndynamic_port = 3799\naddresses = ["192.168.40.0/24"]\n'
        for address in "$@"; do printf '[[radius.server]]\naddress = "%s"\nsecret = "%s"\n' "$address" "$RADIUS_SECRET"; done
    ) gateway_up
}

# in_detail SERVER STATUS ATTRIBUTE: its value in the last record of that Acct-Status-Type
in_detail() {
    awk -v status="$2" -v attribute="$3" 'BEGIN { RS = ""; FS = "\n" }
        $0 ~ "Acct-Status-Type = " status { for (i = 1; i <= NF; i++) if ($i ~ "^\t" attribute " = ") { sub(/.* = /, "", $i); value = $i } }
        END { print value }' "$W/$1/detail"
}

# accounted SERVER USER CAUSE: start and stop are there, with what the gateway's log says was carried
accounted() {
    wait_for 5 "the stop record is there" eval '[ -n "$(in_detail '"$1"' Stop Acct-Terminate-Cause)" ]'
    local logged in out
    logged=$(grep -oE "logout user=\"$2\".*" "$W/gateway.log" | tail -1)
    in=$(in_detail "$1" Stop Acct-Input-Octets) out=$(in_detail "$1" Stop Acct-Output-Octets)
    [[ "$logged" == *" in=$in out=$out cause=$3"* ]] || problem "detail has in=$in out=$out, the log $logged"
    [ "${in:-0}" -ge $((MEGABYTES * 1000000)) ] && [ "${out:-0}" -ge $((MEGABYTES * 1000000)) ] \
        || problem "only $in and $out bytes are accounted for $MEGABYTES MB each way"
    [ "$(in_detail "$1" Stop Acct-Terminate-Cause)" = "$3" ] || problem "Acct-Terminate-Cause is not $3"
    [ "$(in_detail "$1" Start User-Name)" = "\"$2\"" ] || problem "no start record of $2"
    [ "$(in_detail "$1" Start Acct-Session-Id)" = "$(in_detail "$1" Stop Acct-Session-Id)" ] || problem "start and stop are of two sessions"
    [ "$(in_detail "$1" Stop Calling-Station-Id)" = '"198.51.100.2"' ] || problem "Calling-Station-Id is not the client's address"
}

scenario radius "FreeRADIUS: MS-CHAPv2, Framed-IP-Address, accounting with octets" first-light
scenario_radius() {
    MEGABYTES=10
    radius_up first $LAN_HOST && office_up $LAN_HOST
    client PPP_USER=carol PPP_PASSWORD=friend5 && connected 192.168.40.7
    accounted first carol User-Request
    [ "$(in_detail first Stop Class)" = 0x726f6164 ] || problem "Class did not come back"
    [ "$(in_detail first Accounting-On NAS-Identifier)" = '"office"' ] || problem "no Accounting-On"
    # In order, the gateway takes its leave of the server as well.
    kill -TERM "$GATEWAY_PID"
    wait_for 5 "Accounting-Off is there" eval '[ -n "$(in_detail first Accounting-Off NAS-Identifier)" ]'
}

scenario radius-pap "FreeRADIUS: PAP"
scenario_radius_pap() {
    MEGABYTES=2
    radius_up first $LAN_HOST && AUTH='["mschapv2", "chap", "pap"]' office_up $LAN_HOST
    client PPP_USER=carol PPP_PASSWORD=friend5 PPP_EXTRA=$'refuse-eap\nrefuse-mschap-v2\nrefuse-mschap\nrefuse-chap' \
        && connected 192.168.40.7
    grep -q 'PAP authentication succeeded' "$W/client.log" || problem "pppd did not use PAP"
    accounted first carol User-Request
}

scenario radius-chap "FreeRADIUS: CHAP-MD5"
scenario_radius_chap() {
    MEGABYTES=2
    radius_up first $LAN_HOST && AUTH='["chap"]' office_up $LAN_HOST
    client PPP_USER=carol PPP_PASSWORD=friend5 && connected 192.168.40.7
    accounted first carol User-Request
}

scenario radius-reject "FreeRADIUS: a wrong password is refused, and users of the file need no server"
scenario_radius_reject() {
    MEGABYTES=1
    radius_up first $LAN_HOST && office_up $LAN_HOST
    client PPP_USER=carol PPP_PASSWORD=enemy
    expect ppp=failed
    expect_log 'auth failed user="carol" peer=198.51.100.2 method=mschapv2 reason=radius_reject'
    client && connected 192.168.200.10
}

scenario radius-timeout "FreeRADIUS: Session-Timeout and Framed-Pool"
scenario_radius_timeout() {
    MEGABYTES=1
    radius_up first $LAN_HOST && office_up $LAN_HOST
    client PPP_USER=dave PPP_PASSWORD=friend6 HOLD_SECONDS=12
    expect "ppp local=192.168.201.10"
    expect_log 'logout user="dave" .* dur=6 .* cause=Session-Timeout'
    wait_for 5 "the stop record is there" eval '[ "$(in_detail first Stop Acct-Terminate-Cause)" = Session-Timeout ]'
    expect_nothing_left
}

scenario radius-failover "FreeRADIUS: the second server takes over from the first"
scenario_radius_failover() {
    MEGABYTES=1
    radius_up second $SECOND_HOST; radius_up first $LAN_HOST
    office_up $LAN_HOST $SECOND_HOST
    client PPP_USER=carol PPP_PASSWORD=friend5 && connected 192.168.40.7
    accounted first carol User-Request
    kill -9 "$RADIUS_PID"
    client PPP_USER=carol PPP_PASSWORD=friend5 && connected 192.168.40.7
    expect_log "RADIUS server $LAN_HOST:1812 is silent"
    accounted second carol User-Request
}

scenario radius-disconnect "radclient ends a call, and a stranger does not"
scenario_radius_disconnect() {
    MEGABYTES=1
    radius_up first $LAN_HOST && office_up $LAN_HOST
    client PPP_USER=carol PPP_PASSWORD=friend5 HOLD_SECONDS=12 &
    local booted=$!
    wait_for 40 "carol is in" grep -q 'IPCP open.*remote=192.168.40.7' "$W/gateway.log"
    # An address that is no server's, then a wrong secret, then the server itself.
    disconnect() { printf 'User-Name = carol\nEvent-Timestamp = %s\n' "$(date +%s)" | in_ns lan radclient -r 1 -t 1 -x "$@" 192.168.8.1:3799 disconnect "$secret"; }
    local secret=$RADIUS_SECRET
    ip -n "${P}lan" addr add 192.168.8.99/24 dev eth0
    printf 'User-Name = carol\nPacket-Src-IP-Address = 192.168.8.99\nEvent-Timestamp = %s\n' "$(date +%s)" \
        | in_ns lan radclient -r 1 -t 1 192.168.8.1:3799 disconnect "$secret" > "$W/stranger.log" 2>&1
    secret=wrong disconnect > "$W/forged.log" 2>&1
    grep -q 'logout user="carol"' "$W/gateway.log" && problem "a stranger has ended the call"
    disconnect > "$W/radclient.log" 2>&1
    grep -q 'Received Disconnect-ACK' "$W/radclient.log" || problem "no Disconnect-ACK: $(tail -1 "$W/radclient.log")"
    expect_log 'logout user="carol" .* cause=Admin-Reset'
    wait $booted
    wait_for 5 "the stop record is there" eval '[ "$(in_detail first Stop Acct-Terminate-Cause)" = Admin-Reset ]'
    expect_nothing_left
}

scenario radius-reload "FreeRADIUS: another server by reload, while a user is in"
scenario_radius_reload() {
    MEGABYTES=1
    radius_up second $SECOND_HOST; radius_up first $LAN_HOST
    office_up $LAN_HOST
    client PPP_USER=carol PPP_PASSWORD=friend5 HOLD_SECONDS=12 &
    local client_pid=$!
    wait_for 40 "carol is in" grep -q 'IPCP open.*remote=192.168.40.7' "$W/gateway.log"
    wait_for 5 "the start record is there" eval '[ -n "$(in_detail first Start User-Name)" ]'
    kill -9 "$RADIUS_PID"
    sed "/^\[\[radius.server\]\]/,/^secret/ s/$LAN_HOST/$SECOND_HOST/" "$W/office.toml" > "$W/office.new" && mv "$W/office.new" "$W/office.toml"
    told diff 'radius.server' check --config "$W/office.toml" --diff
    grep -q 'restart' "$W/seen-diff.txt" && problem "a restart is asked for: $(cat "$W/seen-diff.txt")"
    told reload 'radius.server' reload
    wait $client_pid && connected 192.168.40.7
    wait_for 5 "the stop record is there" eval '[ "$(in_detail second Stop Acct-Terminate-Cause)" = User-Request ]'
}
