# Sourced by run. A scenario is a function: scenario_NAME does it, and problem() says what is wrong.

FIRST_LIGHT="nat-aes nat-3des nat-des nat-ecp no-nat wrong-psk wrong-password no-proposal connect-softether connect-gateway tshark"
FULL="$FIRST_LIGHT pap-only chap-only ipv6 tunnel-secret"

about() {
    case $1 in
        nat-aes) echo "NAT, AES-256/SHA-1/MODP-2048, MS-CHAPv2" ;;
        nat-3des) echo "NAT, Windows XP's 3DES/SHA-1/MODP-1024, CHAP-MD5" ;;
        nat-des) echo "NAT, DES/MD5/MODP-768" ;;
        nat-ecp) echo "NAT, AES-256/SHA-256/ECP-384, ESP AES-128/SHA-256" ;;
        no-nat) echo "no NAT: ESP as IP protocol 50, IKE on port 500" ;;
        wrong-psk) echo "wrong pre-shared key is refused" ;;
        wrong-password) echo "wrong password is refused" ;;
        no-proposal) echo "no common proposal is refused" ;;
        connect-softether) echo "gateway connect to SoftEther VPN server" ;;
        connect-gateway) echo "gateway connect to our own gateway" ;;
        tshark) echo "tshark decrypts main mode to inner ICMP" ;;
        pap-only) echo "pppd with PAP only" ;;
        chap-only) echo "pppd with CHAP-MD5 only" ;;
        ipv6) echo "pppd with IPV6CP" ;;
        tunnel-secret) echo "xl2tpd with tunnel authentication" ;;
        *) return 1 ;;
    esac
}

scenario_nat_aes() {
    gateway_up && client && connected 192.168.200.10
    expect encapsulation=udp
    expect_log 'AES_CBC-256/HMAC_SHA1/MODP_2048'
    expect_log 'nat="peer behind NAT"'
}

scenario_nat_3des() {
    gateway_up legacy_xp && client IKE=3des-sha1-modp1024 ESP=3des-sha1 PPP_USER=dialin1 PPP_PASSWORD=friend1 \
        PPP_EXTRA=$'refuse-eap\nrefuse-mschap-v2\nrefuse-mschap' && connected 192.168.200.50
    grep -q 'CHAP authentication succeeded' "$W/client.log" || problem "pppd did not use CHAP"
}

scenario_nat_des() {
    gateway_up legacy_xp && client IKE=des-md5-modp768 ESP=des-md5 && connected 192.168.200.10
}

scenario_nat_ecp() {
    gateway_up && client IKE=aes256-sha256-ecp384 ESP=aes128-sha256 && connected 192.168.200.10
}

scenario_no_nat() {
    gateway_up && client && connected 192.168.200.10
    expect encapsulation=none
    expect_log 'nat="no NAT"'
    local floated
    floated=$(tcpdump -r "$W/outside.pcap" -n 'udp port 4500' 2>/dev/null | wc -l)
    [ "$floated" = 0 ] || problem "$floated packets on port 4500"
}

scenario_wrong_psk() {
    gateway_up && client PSK=somethingelse456
    expect 'ike=[1-9][0-9]*'
    expect_log 'refused.*reason=authentication_failed'
    # The half-open SA stays a minute: anybody can send garbage in the peer's name.
    expect_nothing_left 75
}

scenario_wrong_password() {
    gateway_up && client PPP_PASSWORD=enemy
    expect ppp=failed
    expect_log 'authentication failed user="dialin2" method=mschapv2 reason=bad_password'
    expect_nothing_left
}

scenario_no_proposal() {
    gateway_up modern && client IKE=des-md5-modp768
    expect 'ike=[1-9][0-9]*'
    expect_log 'refused.*reason=no_proposal_chosen'
    expect_nothing_left
}

scenario_connect_softether() {
    softether_up && warrior 192.168.30.0/24 192.168.30.5
    softether_down
}

scenario_connect_gateway() {
    gateway_up && warrior 192.168.8.0/24 $LAN_HOST
    expect_nothing_left
}

scenario_tshark() {
    MEGABYTES=1
    gateway_up && client && connected 192.168.200.10
    [ "$(decrypted 'isakmp.typepayload == 5')" -ge 4 ] || problem "no identities: main and quick mode not decrypted"
    [ "$(decrypted 'isakmp.typepayload == 12')" -ge 1 ] || problem "no DELETE decrypted"
    [ "$(decrypted 'l2tp.avp.message_type == 1')" -ge 1 ] || problem "no SCCRQ decrypted"
    [ "$(decrypted 'icmp.type == 8')" -ge 3 ] || problem "no echo requests decrypted"
    [ "$(decrypted 'icmp.type == 0')" -ge 3 ] || problem "no echo replies decrypted"
    [ "$(decrypted 'esp.icv_bad == 1')" = 0 ] || problem "ICVs do not verify"
}

scenario_pap_only() {
    AUTH='["mschapv2", "chap", "pap"]' gateway_up && client PPP_EXTRA=$'refuse-eap\nrefuse-mschap-v2\nrefuse-mschap\nrefuse-chap' \
        && connected 192.168.200.10
    grep -q 'PAP authentication succeeded' "$W/client.log" || problem "pppd did not use PAP"
}

scenario_chap_only() {
    AUTH='["chap"]' gateway_up && client && connected 192.168.200.10
}

scenario_ipv6() {
    IPV6=true gateway_up && client PPP_EXTRA=$'refuse-eap\n+ipv6' && connected 192.168.200.10
    grep -q 'local  LL address' "$W/client.log" || problem "pppd has no IPv6 address"
}

scenario_tunnel_secret() {
    L2TP='tunnel_secret = "between-us"' gateway_up
    mkdir -p "$W/xl2tpd"
    echo '* * between-us' > "$W/xl2tpd/secrets"
    client L2TP_GLOBAL="auth file = $W/xl2tpd/secrets" L2TP_EXTRA='challenge = yes' && connected 192.168.200.10
}
