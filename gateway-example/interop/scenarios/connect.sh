# Sourced by run: `gateway connect` against servers.

scenario connect-softether "gateway connect to SoftEther VPN server" first-light
scenario_connect_softether() {
    softether_up && warrior 192.168.30.0/24 192.168.30.5
    softether_down
}

scenario connect-gateway "gateway connect to our own gateway" first-light
scenario_connect_gateway() {
    gateway_up && warrior 192.168.8.0/24 $LAN_HOST
    expect_nothing_left
}

scenario connect-gateway-restart "gateway connect while the gateway is killed and started again: it calls again by itself"
scenario_connect_gateway_restart() {
    gateway_up && warrior_up 192.168.8.0/24 || return
    in_ns rw ping -c 3 -w 10 $LAN_HOST > "$W/ping.log" 2>&1 || problem "ping $LAN_HOST failed"
    kill -9 $GATEWAY_PID
    sleep 5
    mv "$W/gateway.log" "$W/gateway-before.log"
    gateway_start
    wait_for 150 "gateway connect is back" eval '[ "$(grep -c "^connected address=" "$W/warrior.log")" = 2 ]' || return
    in_ns rw ping -c 3 -w 10 $LAN_HOST > "$W/ping-again.log" 2>&1 || problem "ping $LAN_HOST failed after the restart"
    in_ns rw timeout 120 "$PYTHON" "$HERE/transfer.py" run $LAN_HOST 5001 "$MEGABYTES" > "$W/transfer.log" 2>&1 \
        || problem "transfer failed: $(tail -1 "$W/transfer.log")"
    [ "$(in_ns rw ip -br addr show dev rwc0 | grep -o '192\.168\.200\.' | wc -l)" = 1 ] \
        || problem "addresses of the tunnel device: $(in_ns rw ip -br addr show dev rwc0)"
    warrior_down
    expect_nothing_left
}

# server_up VARIABLE=VALUE...: the User-Mode Linux as a server, in the background
server_up() {
    uml server TEST_HOST=192.168.30.5 "$@" &
    UML_PID=$!
    wait_for 30 "strongSwan and xl2tpd serve" grep -q '^RESULT serving=0' "$W/server.log"
}

# served ENCAPSULATION: the warrior has come to the server and gone, and nothing of it is left at either end
served() {
    wait $UML_PID
    grep -q '^connected address=192.168.30.100 .*dns=192.168.30.5' "$W/warrior.log" \
        || problem "not the address and DNS server that pppd gives: $(grep '^connected' "$W/warrior.log")"
    expect "ppp local=192.168.30.1 peer=192.168.30.100" server
    expect "encapsulation=$1" server
    expect "esp_sas=0 ike_sas=0" server
    expect goodbye=1 server
    [ -z "$(in_ns rw ip route show 192.168.30.0/24)" ] || problem "a route is left in the warrior's namespace"
    [ "$(in_ns rw ip -br link show type tun | wc -l)" = 0 ] || problem "a tunnel device is left in the warrior's namespace"
}

scenario connect-xl2tpd "gateway connect to strongSwan, xl2tpd and pppd, from behind a NAT"
scenario_connect_xl2tpd() {
    in_ns nat nft add rule ip nat post oifname tap0 masquerade
    server_up PPP_EXTRA=require-mschap-v2 && SERVER=192.168.77.2 warrior 192.168.30.0/24 192.168.30.5
    served udp
}

scenario connect-xl2tpd-no-nat "gateway connect to the same without a NAT, with CHAP-MD5"
scenario_connect_xl2tpd_no_nat() {
    server_up PPP_EXTRA=require-chap && SERVER=192.168.77.2 warrior 192.168.30.0/24 192.168.30.5
    served none
}
