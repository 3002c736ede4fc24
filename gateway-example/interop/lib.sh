# Sourced by run: the test network, the gateway in it, real clients, and checks.
#
#   client 192.168.77.2 --tap0-- [nat] --198.51.100.0/24-- [gw] --192.168.8.0/24-- [lan] 192.168.8.10
#   rw     192.168.78.2 --veth--/  nftables masquerade 198.51.100.1   192.168.8.1
#
# "client" is a User-Mode Linux with strongSwan, kernel ESP, xl2tpd and pppd; "rw" is a namespace for
# `gateway connect`. NAT=off routes the client instead of translating it.

SERVER=198.51.100.1
LAN_HOST=192.168.8.10
PSK=sharedkey123
MEGABYTES=${MEGABYTES:-50}

# scenario NAME WHAT [first-light]: the function scenario_NAME follows; problem() says what is wrong.
declare -A ABOUT
FIRST_LIGHT= FULL=
scenario() {
    ABOUT[$1]=$2
    FULL+=" $1"
    [ "${3:-}" != first-light ] || FIRST_LIGHT+=" $1"
}

in_ns() { ip netns exec "$P$1" "${@:2}"; }
# For background jobs: $! is the command itself, so that signals reach it.
exec_in_ns() { exec ip netns exec "$P$1" "${@:2}"; }

# A machine that cannot do it has not passed.
cannot() { echo "interop: skipped: $*"; exit "${SKIP_STATUS:-1}"; }

# prepare [PACKAGE...]: what this machine needs, and these
prepare() {
    [ "$(id -u)" = 0 ] || cannot "needs root, for network namespaces"
    [ -c /dev/net/tun ] || cannot "/dev/net/tun is missing"
    local packages=(user-mode-linux strongswan-swanctl strongswan-charon libstrongswan-extra-plugins xl2tpd ppp nftables
        tcpdump tshark kmod iproute2 iputils-ping procps python3 softether-vpnserver softether-vpncmd ike-scan
        libnss3-tools libunbound8 libldns3 libevent-core-2.1-7 libevent-pthreads-2.1-7 libldap-2.5-0 libcurl3-nss libcap-ng0
        dns-root-data "$@")
    local missing=() package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "interop: installing ${missing[*]}"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}"; } > /tmp/interop-apt.log 2>&1 \
            || cannot "packages cannot be installed, see /tmp/interop-apt.log"
    fi
    ip netns add "${P}probe" 2>/dev/null && ip netns del "${P}probe" || cannot "network namespaces cannot be made"
    # The client sees this machine's file system with a path of its own.
    PYTHON=/usr/bin/python3
}

build_gateway() {
    if [ -z "${GATEWAY:-}" ]; then
        (cd "$ROOT" && cargo build --release -q -p gateway-example) || exit 1
        GATEWAY=${CARGO_TARGET_DIR:-$ROOT/target}/release/gateway
    fi
    GATEWAY=$(readlink -f "$GATEWAY")
}

topology_up() {
    for n in nat gw lan rw; do ip netns add "$P$n"; ip -n "$P$n" link set lo up; done
    ip link add wan netns "${P}nat" type veth peer name eth0 netns "${P}gw"
    ip link add vlan1 netns "${P}gw" type veth peer name eth0 netns "${P}lan"
    ip link add inner netns "${P}nat" type veth peer name eth0 netns "${P}rw"
    ip -n "${P}nat" addr add 198.51.100.2/24 dev wan;   ip -n "${P}nat" link set wan up
    ip -n "${P}gw"  addr add 198.51.100.1/24 dev eth0;  ip -n "${P}gw" link set eth0 up
    ip -n "${P}gw"  addr add 192.168.8.1/24 dev vlan1;  ip -n "${P}gw" link set vlan1 up
    ip -n "${P}lan" addr add $LAN_HOST/24 dev eth0;     ip -n "${P}lan" link set eth0 up
    ip -n "${P}lan" route add default via 192.168.8.1
    ip -n "${P}nat" addr add 192.168.78.1/24 dev inner;  ip -n "${P}nat" link set inner up
    ip -n "${P}rw"  addr add 192.168.78.2/24 dev eth0;  ip -n "${P}rw" link set eth0 up
    ip -n "${P}rw"  route add default via 192.168.78.1
    in_ns nat ip tuntap add dev tap0 mode tap
    ip -n "${P}nat" addr add 192.168.77.1/24 dev tap0;  ip -n "${P}nat" link set tap0 up
    in_ns nat sysctl -qw net.ipv4.ip_forward=1
    if [ "${NAT:-on}" = on ]; then
        in_ns nat nft -f - <<X
table ip nat {
    chain post {
        type nat hook postrouting priority 100;
        oifname wan ip saddr 192.168.0.0/16 masquerade
    }
}
X
    else
        ip -n "${P}gw" route add 192.168.77.0/24 via 198.51.100.2
    fi
    exec_in_ns lan "$PYTHON" "$HERE/transfer.py" serve $LAN_HOST 5001 >/dev/null 2>&1 &
    JOBS_PIDS+=($!)
}

topology_down() {
    # The shell need not tell of their ends.
    disown -a 2>/dev/null
    for pid in "${JOBS_PIDS[@]}" "${CAPTURE_PIDS[@]}"; do kill "$pid" 2>/dev/null; done
    JOBS_PIDS=() CAPTURE_PIDS=()
    for n in nat gw lan rw net; do
        # Whoever is left in there holds it open.
        ip netns pids "$P$n" 2>/dev/null | xargs -r kill -9 2>/dev/null
        ip netns del "$P$n" 2>/dev/null
    done
    return 0
}

# gateway_up [POLICY]: with LAN_MORE, L2TP and MORE in its configuration
gateway_up() {
    cat > "$W/office.toml" <<X
[gateway]
listen = "0.0.0.0"
policy = "${1:-compat}"
control_socket = "$W/control.sock"
key_log_dir = "$W/keys"
${GATEWAY_OPTIONS:-}

[[psk]]
peer = "any"
secret = "$PSK"

[ppp]
local = "192.168.8.1"
dns = ["$LAN_HOST"]
auth = ${AUTH:-[\"mschapv2\", \"chap\"]}
ipv6 = ${IPV6:-false}

[pool]
range = "${POOL:-192.168.200.10-192.168.200.99}"

[lan]
networks = ["192.168.8.0/24"]
${LAN_MORE:-}

[l2tp]
${L2TP:-}

${GATEWAY_EXTRA:-}

[[user]]
name = "dialin1"
password = "friend1"
address = "192.168.200.50"

[[user]]
name = "dialin2"
password = "friend2"

$(cat "${USERS:-/dev/null}")
${MORE:-}
X
    gateway_run "$W/office.toml"
}

# gateway_run FILE: the gateway with this configuration
gateway_run() {
    if [ -z "${NO_CAPTURE:-}" ]; then
        # Captured as it goes out on a wire: datagrams sent in one call are segmented before, not by the device.
        in_ns gw ip link set eth0 gso_max_segs 1
        capture gw "$W/outside.pcap"
    fi
    gateway_start "$1"
}

CAPTURE_PIDS=()
# capture NAMESPACE FILE [FILTER...]: what passes eth0 there, into FILE
capture() {
    exec_in_ns "$1" tcpdump -i eth0 -U -w "$2" "${@:3}" >/dev/null 2>&1 &
    CAPTURE_PIDS+=($!)
    wait_for 5 "tcpdump listens" test -s "$2"
}

# Before a capture is read. tcpdump is given packets by the block, which the kernel closes after a second.
captures_end() {
    [ ${#CAPTURE_PIDS[@]} -gt 0 ] || return 0
    sleep 1.5
    kill -INT "${CAPTURE_PIDS[@]}" 2>/dev/null
    wait "${CAPTURE_PIDS[@]}" 2>/dev/null
    CAPTURE_PIDS=()
}

# gateway_start [FILE]: the same without a capture, again maybe
gateway_start() {
    exec_in_ns gw "$GATEWAY" --log "${LOG:-info}" run --config "${1:-$W/office.toml}" --socket "$W/control.sock" \
        > "$W/gateway.log" 2>&1 &
    GATEWAY_PID=$!
    JOBS_PIDS+=($GATEWAY_PID)
    wait_for 10 "the gateway is ready" grep -q 'gateway is ready' "$W/gateway.log"
}

# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local end=$((SECONDS + $1)) what=$2; shift 2
    until "$@"; do
        [ $SECONDS -lt $end ] || { problem "waited in vain until $what"; return 1; }
        sleep 0.2
    done
}

problem() { PROBLEMS+=("$*"); echo "PROBLEM: $*" >> "$W/problems"; }

# client VARIABLE=VALUE...: boots the client; its console goes to client.log
client() { uml client TEST_NET=192.168.8.0/24 TEST_HOST=$LAN_HOST "$@"; }

# uml ROLE VARIABLE=VALUE...: boots a User-Mode Linux with ROLE-init.sh; its console goes to ROLE.log
uml() {
    local role=$1; shift
    cat > "$W/$role.env" <<X
SERVER=$SERVER
IKE=aes256-sha1-modp2048
ESP=aes256-sha1
PSK=$PSK
PPP_USER=dialin2
PPP_PASSWORD=friend2
PPP_EXTRA="refuse-eap"
MEGABYTES=$MEGABYTES
PYTHON=$PYTHON
TRANSFER=$HERE/transfer.py
LOG_LINES=60
X
    for assignment in "$@"; do
        printf '%s="%s"\n' "${assignment%%=*}" "${assignment#*=}" >> "$W/$role.env"
    done
    local preload=
    if grep -qw amx_tile /proc/cpuinfo; then
        preload=$W/uml-xstate.so
        [ -e "$preload" ] || cc -O2 -shared -fPIC -o "$preload" "$HERE/uml-xstate.c" || problem "no compiler for uml-xstate.c"
    fi
    in_ns nat env TMPDIR=/dev/shm LD_PRELOAD="$preload" timeout "${LIMIT:-150}" \
        linux.uml mem=512M root=/dev/root rootfstype=hostfs rootflags=/ rw init="$HERE/$role-init.sh" \
        CLIENT_ENV="$W/$role.env" vec0:transport=tap,ifname=tap0,depth=128,gro=0 \
        con=null con0=fd:0,fd:1 quiet </dev/null > "$W/$role.log" 2>&1
    tr -d '\r' < "$W/$role.log" > "$W/$role.clean" && mv "$W/$role.clean" "$W/$role.log"
}

# expect RESULT-PATTERN [ROLE]: a line of a console, the client's if not said
expect() { grep -qE "^RESULT .*$1( |$)" "$W/${2:-client}.log" || problem "${2:-client} did not say $1"; }

# expect_log PATTERN: a line of the gateway's log
expect_log() { grep -qE "$1" "$W/gateway.log" || problem "gateway's log lacks /$1/"; }

status_is_zero() {
    "$GATEWAY" status --socket "$W/control.sock" --json 2>/dev/null > "$W/status.json" || return 1
    "$PYTHON" - "$W/status.json" <<'X'
import json, sys
status = json.load(open(sys.argv[1]))
names = ["isakmp_sas", "esp_sas", "l2tp_tunnels", "l2tp_sessions", "addresses_in_use"]
sys.exit(0 if all(status[name] == 0 for name in names) else 1)
X
}

expect_nothing_left() {
    wait_for "${1:-15}" "the gateway has nothing left" status_is_zero || problem "left: $(cat "$W/status.json")"
    kill -0 "$GATEWAY_PID" 2>/dev/null || problem "the gateway has ended"
    if grep -qE 'panicked|ERROR' "$W/gateway.log"; then problem "error in the gateway's log"; fi
}

# What every connection of the client must show: connected ADDRESS
connected() {
    expect ike=0
    expect "ppp local=$1"
    expect "peer=192.168.8.1"
    expect "dns=$LAN_HOST"
    expect ping=0
    expect "up=0"
    expect "down=0"
    expect_nothing_left
}

# warrior_up NET OPTIONS...: `gateway connect` in rw; its process is WARRIOR_PID
warrior_up() {
    local net=$1; shift
    local user=${WARRIOR_USER:-dialin2}
    echo "friend${user#dialin}" > "$W/password"
    exec_in_ns rw "$GATEWAY" --log "${LOG:-info}" connect --server $SERVER --psk $PSK --user "$user" \
        --password-file "$W/password" --route "$net" "$@" > "$W/warrior.log" 2>&1 &
    WARRIOR_PID=$!
    JOBS_PIDS+=($WARRIOR_PID)
    wait_for 20 "gateway connect is connected" grep -q '^connected address=' "$W/warrior.log"
}

warrior_down() {
    kill -INT $WARRIOR_PID 2>/dev/null
    wait_for 10 "gateway connect has ended" eval "! kill -0 $WARRIOR_PID 2>/dev/null"
    grep -q '^disconnected$' "$W/warrior.log" || problem "gateway connect did not end well: $(tail -1 "$W/warrior.log")"
}

# warrior NET HOST OPTIONS...: `gateway connect` in rw, pings and transfers to HOST, and goodbye
warrior() {
    local net=$1 host=$2; shift 2
    if warrior_up "$net" "$@"; then
        in_ns rw ping -c 3 -w 10 "$host" > "$W/ping.log" 2>&1 || problem "ping $host failed"
        in_ns rw timeout 120 "$PYTHON" "$HERE/transfer.py" run "$host" 5001 "$MEGABYTES" > "$W/transfer.log" 2>&1 \
            || problem "transfer failed: $(tail -1 "$W/transfer.log")"
    fi
    warrior_down
}

softether_up() {
    mkdir -p /run/softether /var/log/softether /var/lib/softether
    in_ns gw vpnserver start >/dev/null
    sleep 4
    cat > "$W/softether.cmds" <<X
IPsecEnable /L2TP:yes /L2TPRAW:no /ETHERIP:no /PSK:$PSK /DEFAULTHUB:DEFAULT
BridgeCreate DEFAULT /DEVICE:se /TAP:yes
Hub DEFAULT
UserCreate dialin2 /GROUP:none /REALNAME:none /NOTE:none
UserPasswordSet dialin2 /PASSWORD:friend2
SecureNatEnable
NatDisable
DhcpEnable
X
    in_ns gw vpncmd localhost:5555 /SERVER /IN:"$W/softether.cmds" > "$W/softether.log" 2>&1
    sleep 4
    ip -n "${P}gw" addr add 192.168.30.5/24 dev tap_se; ip -n "${P}gw" link set tap_se up
    exec_in_ns gw "$PYTHON" "$HERE/transfer.py" serve 192.168.30.5 5001 >/dev/null 2>&1 &
    JOBS_PIDS+=($!)
    wait_for 10 "SoftEther listens" eval "in_ns gw ss -lun | grep -q ':4500 '"
}

softether_down() { in_ns gw vpnserver stop >/dev/null 2>&1; return 0; }

# expect_decrypted TEST NUMBER FILTER PROBLEM: how many packets of the capture from outside tshark, with the gateway's
# key files, finds to match
expect_decrypted() {
    captures_end
    mkdir -p "$W/tshark/wireshark"
    cp "$W/keys/"* "$W/tshark/wireshark/"
    local count
    count=$(XDG_CONFIG_HOME="$W/tshark" WIRESHARK_CONFIG_DIR="$W/tshark/wireshark" tshark -r "$W/outside.pcap" \
        -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE -Y "$3" 2>> "$W/tshark.err" | wc -l)
    [ "$count" "$1" "$2" ] || problem "$4 ($count packets)"
}
