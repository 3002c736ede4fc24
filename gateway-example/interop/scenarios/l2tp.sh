# Sourced by run: L2TP and PPP.

scenario wrong-password "wrong password is refused" first-light
scenario_wrong_password() {
    gateway_up && client PPP_PASSWORD=enemy
    expect ppp=failed
    expect_log 'authentication failed user="dialin2" method=mschapv2 reason=bad_password'
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

scenario tunnel-secret "xl2tpd with tunnel authentication"
scenario_tunnel_secret() {
    L2TP='tunnel_secret = "between-us"' gateway_up
    mkdir -p "$W/xl2tpd"
    echo '* * between-us' > "$W/xl2tpd/secrets"
    client L2TP_GLOBAL="auth file = $W/xl2tpd/secrets" L2TP_EXTRA='challenge = yes' && connected 192.168.200.10
}
