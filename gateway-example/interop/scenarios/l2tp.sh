# Sourced by run: L2TP and PPP.

scenario wrong-password "wrong password is refused" first-light
scenario_wrong_password() {
    gateway_up && client PPP_PASSWORD=enemy
    expect ppp=failed
    expect_log 'auth failed user="dialin2" peer=198.51.100.2 method=mschapv2 reason=bad_password'
    expect_nothing_left
}

scenario pap-only "pppd with PAP only"
scenario_pap_only() {
    AUTH='["mschapv2", "chap", "pap"]' gateway_up && client PPP_EXTRA=$'refuse-eap\nrefuse-mschap-v2\nrefuse-mschap\nrefuse-chap' \
        && connected 192.168.200.10
    grep -q 'PAP authentication succeeded' "$W/client.log" || problem "pppd did not use PAP"
}

scenario chap-only "pppd with CHAP-MD5 only"
scenario_chap_only() {
    AUTH='["chap"]' gateway_up && client && connected 192.168.200.10
}

scenario ipv6 "pppd with IPV6CP"
scenario_ipv6() {
    IPV6=true gateway_up && client PPP_EXTRA=$'refuse-eap\n+ipv6' && connected 192.168.200.10
    grep -q 'local  LL address' "$W/client.log" || problem "pppd has no IPv6 address"
}

scenario mschapv2-only "pppd with MS-CHAPv2 only, at both ends"
scenario_mschapv2_only() {
    AUTH='["mschapv2"]' gateway_up && client PPP_EXTRA=$'refuse-eap\nrefuse-pap\nrefuse-chap\nrefuse-mschap' && connected 192.168.200.10
    expect_log 'auth=mschapv2'
}

# xl2tpd with the secret that both sides share.
secret_client() {
    # Its capture is read several times.
    MEGABYTES=2
    mkdir -p "$W/xl2tpd"
    echo '* * between-us' > "$W/xl2tpd/secrets"
    client L2TP_GLOBAL="auth file = $W/xl2tpd/secrets" "$@"
    # Both have answered the other's challenge.
    expect_decrypted -ge 2 'l2tp.avp.type == 13' "no tunnel authentication both ways"
}

scenario tunnel-secret "xl2tpd with tunnel authentication"
scenario_tunnel_secret() {
    L2TP='tunnel_secret = "between-us"' gateway_up
    secret_client L2TP_EXTRA='challenge = yes' && connected 192.168.200.10
}

scenario hidden-avps "xl2tpd with tunnel authentication; its hidden bit on, and the gateway's"
scenario_hidden_avps() {
    L2TP=$'tunnel_secret = "between-us"\nhide_avps = true' gateway_up
    secret_client L2TP_EXTRA=$'challenge = yes\nhidden bit = yes' && connected 192.168.200.10
    # All that xl2tpd makes of its hidden bit are Random Vectors.
    expect_decrypted -ge 3 'l2tp.avp.type == 36 && udp.dstport == 1701' "xl2tpd sent no Random Vector"
    expect_decrypted -ge 1 'l2tp.avp.hidden == 1' "the gateway hid nothing"
}

scenario hello "xl2tpd says Hello after an idle minute, and is answered"
scenario_hello() {
    gateway_up && client IDLE_SECONDS=75 && connected 192.168.200.10
    expect idle=0
    # Unanswered, it would come again within seconds.
    expect_decrypted -eq 1 'l2tp.avp.message_type == 6' "not one Hello in the capture"
}

scenario redial "the gateway is killed and started again: the client comes back by itself, to its address"
scenario_redial() {
    GATEWAY_OPTIONS="state_dir = \"$W/state\"" POOL=192.168.200.40-192.168.200.49 gateway_up || return
    LIMIT=240 client RETURN_SECONDS=120 L2TP_EXTRA=$'redial = yes\nredial timeout = 1\nmax redials = 60' \
        PPP_EXTRA=$'refuse-eap\nlcp-echo-interval 2\nlcp-echo-failure 3' \
        CONN_EXTRA=$'dpd_delay = 2s\ndpd_timeout = 6s' CHILD_EXTRA=$'dpd_action = restart' &
    local client=$!
    if wait_for 60 "the client is connected" grep -q '^RESULT waiting=0' "$W/client.log"; then
        kill -9 $GATEWAY_PID
        sleep 2
        mv "$W/gateway.log" "$W/gateway-before.log"
        # Whom it does not remember it would give the first.
        sed -i 's/200.40-192.168.200.49/200.10-192.168.200.99/' "$W/office.toml"
        gateway_start
    fi
    wait $client
    expect back=0
    expect_log 'login user="dialin2" address=192.168.200.40 '
    connected 192.168.200.40
}
