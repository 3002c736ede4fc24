# Sourced by run: what an office's configuration says: scripts of AlliedWare routers, and access to the internet.

# internet_up: a host on the internet behind the NAT's router, 203.0.113.80; the gateway's way there
internet_up() {
    ip netns add "${P}net"; ip -n "${P}net" link set lo up
    ip link add pub netns "${P}nat" type veth peer name eth0 netns "${P}net"
    ip -n "${P}nat" addr add 203.0.113.1/24 dev pub;    ip -n "${P}nat" link set pub up
    ip -n "${P}net" addr add $INTERNET_HOST/24 dev eth0; ip -n "${P}net" link set eth0 up
    ip -n "${P}net" route add default via 203.0.113.1
    ip -n "${P}gw"  route add default via 198.51.100.2
    exec_in_ns net "$PYTHON" "$HERE/transfer.py" serve $INTERNET_HOST 5001 >/dev/null 2>&1 &
    JOBS_PIDS+=($!)
    capture net "$W/internet.pcap" ip and not host 203.0.113.1
}
INTERNET_HOST=203.0.113.80

# seen_as ADDRESS: everything that came to the internet's host came from there
seen_as() {
    captures_end
    local all of
    all=$(tcpdump -r "$W/internet.pcap" -n "dst host $INTERNET_HOST" 2>/dev/null | wc -l)
    of=$(tcpdump -r "$W/internet.pcap" -n "src host $1 and dst host $INTERNET_HOST" 2>/dev/null | wc -l)
    [ "$of" -gt 20 ] && [ "$of" = "$all" ] || problem "of $all packets on the internet $of came from $1"
}

# lan_reaches_internet: pings and a transfer of the office's host, which has no way there but the gateway
lan_reaches_internet() {
    in_ns lan ping -c 3 -W 2 $INTERNET_HOST > "$W/lan-ping.log" 2>&1 || problem "the LAN cannot ping the internet"
    in_ns lan timeout 60 "$PYTHON" "$HERE/transfer.py" run $INTERNET_HOST 5001 2 > "$W/lan-transfer.log" 2>&1 \
        || problem "transfer between LAN and internet failed: $(tail -1 "$W/lan-transfer.log")"
}

# office_script: a router's script for this network, made of the how-to note's listing where it is at hand
office_script() {
    local how_to=$ROOT/../shared/seed/000_ae32f555e4c1ac65.txt
    if [ -f "$how_to" ]; then
        sed -nEf "$HERE/listing.sed" "$how_to" | sed -E \
            -e "s/<alphanumeric-string>/$PSK/" -e 's/<(secoff )?password>/officer1/' -e 's/<trusted remote ip>/192.0.2.9/' \
            -e "s/<your private DNS server address if applicable>/$LAN_HOST/" -e 's/<office private LAN address>/192.168.8.1/' \
            -e "s/<(interconnect LAN|office Internet) address>/$SERVER/g" -e 's/<mask>/255.255.255.0/' \
            -e 's/<your NAT gateway or ISP next-hop address>/198.51.100.2/' -e 's/<pool-range>/192.168.200.10-192.168.200.99/'
    else
        echo "script: the example, as the how-to note is not at hand" >&2
        sed "s/value=[a-z0-9]*/value=$PSK/" "$ROOT/gateway-example/office.cfg"
    fi
}

# What Windows XP offers first.
XP="IKE=3des-sha1-modp1024 ESP=3des-sha1"

scenario script "an AlliedWare script serves a client: 3DES/SHA-1, CHAP, addresses, LAN and internet" first-light
scenario_script() {
    MEGABYTES=2
    internet_up
    office_script > "$W/office.cfg"
    gateway_run "$W/office.cfg" || return
    client $XP PPP_USER=dialin1 PPP_PASSWORD=friend1 && connected 192.168.8.50
    expect encapsulation=udp
    expect_log '3DES_CBC/HMAC_SHA1/MODP_1024'
    expect_log 'suite=3DES_CBC/HMAC_SHA1_96'
    grep -q 'CHAP authentication succeeded' "$W/client.log" || problem "pppd did not use CHAP"
    client $XP TEST_NET=203.0.113.0/24 TEST_HOST=$INTERNET_HOST && connected 192.168.200.10
    lan_reaches_internet
    seen_as $SERVER
    # Whichever script it is, it does not name this specification.
    client IKE=3des-sha1-modp1024 ESP=aes256-sha256
    expect 'ike=[1-9][0-9]*'
    # What the system's own routing gets back.
    kill -INT $GATEWAY_PID; wait_for 10 "the gateway has ended" eval "! kill -0 $GATEWAY_PID 2>/dev/null"
    in_ns gw ip rule | sort > "$W/rules-after"
    [ "$(grep -c . "$W/rules-after")" = 3 ] && grep -q '^0:.*local' "$W/rules-after" || problem "rules left: $(cat "$W/rules-after")"
}

scenario internet "clients and LAN reach the internet by a global address of the gateway's own" first-light
scenario_internet() {
    MEGABYTES=2
    internet_up
    LAN_MORE='interface = "vlan1"' MORE=$'[internet]\ninterface = "eth0"\naddress = "198.51.100.9"\nlan = true\n
[[firewall.rule]]\naction = "forward"\nprotocol = "tcp"\nports = "8080"\nto = "192.168.8.10:5001"' gateway_up || return
    client TEST_NET=203.0.113.0/24 TEST_HOST=$INTERNET_HOST && connected 192.168.200.10
    lan_reaches_internet
    seen_as 198.51.100.9
    # Through the pinhole to the office's host, and to nothing else.
    in_ns net timeout 60 "$PYTHON" "$HERE/transfer.py" run 198.51.100.9 8080 1 > "$W/pinhole.log" 2>&1 \
        || problem "the pinhole is shut: $(tail -1 "$W/pinhole.log")"
    ! in_ns net timeout 5 "$PYTHON" "$HERE/transfer.py" run 198.51.100.9 5001 1 > "$W/shut.log" 2>&1 || problem "port 5001 is open"
}

scenario lan-pool "clients with a pool's addresses in the LAN are found there: its interface answers ARP, as long as the gateway runs"
scenario_lan_pool() {
    MEGABYTES=2
    LAN_MORE='interface = "vlan1"' POOL=192.168.8.200-192.168.8.203 gateway_up && warrior 192.168.8.0/24 $LAN_HOST
    grep -q '^connected address=192.168.8.20' "$W/warrior.log" || problem "not of the pool: $(tail -1 "$W/warrior.log")"
    expect_nothing_left
    kill -INT $GATEWAY_PID; wait_for 10 "the gateway has ended" eval "! kill -0 $GATEWAY_PID 2>/dev/null"
    [ -z "$(ip -n "${P}gw" neigh show proxy)" ] || problem "ARP is still answered: $(ip -n "${P}gw" neigh show proxy)"
}
