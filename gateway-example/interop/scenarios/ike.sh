# Sourced by run: IKE and ESP.

scenario nat-aes "NAT, AES-256/SHA-1/MODP-2048, MS-CHAPv2" first-light
scenario_nat_aes() {
    gateway_up && client && connected 192.168.200.10
    expect encapsulation=udp
    expect_log 'AES_CBC-256/HMAC_SHA1/MODP_2048'
    expect_log 'nat="peer behind NAT"'
}

scenario nat-3des "NAT, Windows XP's 3DES/SHA-1/MODP-1024, CHAP-MD5" first-light
scenario_nat_3des() {
    gateway_up legacy_xp && client IKE=3des-sha1-modp1024 ESP=3des-sha1 PPP_USER=dialin1 PPP_PASSWORD=friend1 \
        PPP_EXTRA=$'refuse-eap\nrefuse-mschap-v2\nrefuse-mschap' && connected 192.168.200.50
    grep -q 'CHAP authentication succeeded' "$W/client.log" || problem "pppd did not use CHAP"
}

scenario nat-des "NAT, DES/MD5/MODP-768" first-light
scenario_nat_des() {
    gateway_up legacy_xp && client IKE=des-md5-modp768 ESP=des-md5 && connected 192.168.200.10
}

scenario nat-ecp "NAT, AES-256/SHA-256/ECP-384, ESP AES-128/SHA-256" first-light
scenario_nat_ecp() {
    gateway_up && client IKE=aes256-sha256-ecp384 ESP=aes128-sha256 && connected 192.168.200.10
}

scenario no-nat "no NAT: ESP as IP protocol 50, IKE on port 500" first-light
scenario_no_nat() {
    gateway_up && client && connected 192.168.200.10
    expect encapsulation=none
    expect_log 'nat="no NAT"'
    captures_end
    local floated
    floated=$(tcpdump -r "$W/outside.pcap" -n 'udp port 4500' 2>/dev/null | wc -l)
    [ "$floated" = 0 ] || problem "$floated packets on port 4500"
}

scenario wrong-psk "wrong pre-shared key is refused" first-light
scenario_wrong_psk() {
    gateway_up && client PSK=somethingelse456
    expect 'ike=[1-9][0-9]*'
    expect_log 'refused.*reason=authentication_failed'
    # The half-open SA stays a minute: anybody can send garbage in the peer's name.
    expect_nothing_left 75
}

scenario no-proposal "no common proposal is refused" first-light
scenario_no_proposal() {
    gateway_up modern && client IKE=des-md5-modp768
    expect 'ike=[1-9][0-9]*'
    expect_log 'refused.*reason=no_proposal_chosen'
    expect_nothing_left
}

scenario tshark "tshark decrypts main mode to inner ICMP" first-light
scenario_tshark() {
    MEGABYTES=1
    gateway_up && client && connected 192.168.200.10
    expect_decrypted -ge 4 'isakmp.typepayload == 5' "no identities: main and quick mode not decrypted"
    expect_decrypted -ge 1 'isakmp.typepayload == 12' "no DELETE decrypted"
    expect_decrypted -ge 1 'l2tp.avp.message_type == 1' "no SCCRQ decrypted"
    expect_decrypted -ge 3 'icmp.type == 8' "no echo requests decrypted"
    expect_decrypted -ge 3 'icmp.type == 0' "no echo replies decrypted"
    expect_decrypted -eq 0 'esp.icv_bad == 1' "ICVs do not verify"
}

scenario rekey "strongSwan rekeys both phases during a transfer"
scenario_rekey() {
    LIMIT=200
    gateway_up && client HOLD_SECONDS=45 CONN_EXTRA=$'rekey_time = 17s\nover_time = 20s\nrand_time = 0s' CHILD_EXTRA=$'rekey_time = 7s\nlife_time = 30s\nrand_time = 0s' \
        && connected 192.168.200.10
    expect 'ike_rekeys=([3-9]|[1-9][0-9])'
    expect 'child_rekeys=([5-9]|[1-9][0-9])'
    # One packet may be on its way at each swap.
    local lost swaps
    lost=$(sed -n 's/.*RESULT hold sent=.* lost=//p' "$W/client.log")
    swaps=$(sed -n 's/.*RESULT child_rekeys=//p' "$W/client.log")
    [ "${lost:-99}" -le "${swaps:-0}" ] || problem "$lost pings lost over $swaps swaps"
    unset LIMIT
}

# probe OPTIONS...: one run of ike-scan against the gateway; what it says goes to ike-scan.log
probe() {
    in_ns rw ike-scan --sport=0 --retry=2 --timeout=300 "$@" $SERVER >> "$W/ike-scan.log" 2>&1
    tail -1 "$W/ike-scan.log"
}

scenario ike-scan "ike-scan: permutations of phase 1 and what must get no answer"
scenario_ike_scan() {
    gateway_up legacy_xp
    local encryption hash group answered=0
    # Each of the policy's ciphers (1 DES, 5 3DES, 7/128 7/256 AES), hashes and MODP groups.
    for encryption in 1 5 7/128 7/256; do
        for hash in 1 2 4; do
            for group in 1 2 5 14; do
                if probe --trans="$encryption,$hash,1,$group" | grep -q '1 returned handshake'; then
                    answered=$((answered + 1))
                else
                    echo "no answer to $encryption,$hash,1,$group" >> "$W/unanswered"
                fi
            done
        done
    done
    [ $answered -ge 24 ] || problem "only $answered of 48 permutations were answered, see unanswered"
    probe --trans=7/256,2,3,14 | grep -q '0 returned handshake' || problem "RSA signatures were accepted"
    probe --trans=65535,65535,1,14 | grep -q '0 returned handshake' || problem "unknown algorithms were accepted"
    probe --aggressive --id=group --trans=7/256,2,1,14 | grep -q '0 returned handshake' || problem "Aggressive Mode was answered"
    probe --ikev2 | grep -q '0 returned handshake' || problem "IKEv2 was answered"
    probe --nat-t --trans=7/256,2,1,14 --dport=4500 | grep -q '1 returned handshake' || problem "no answer on port 4500"
    # What was answered is half-open until its minute is over.
    expect_nothing_left 75
}

scenario libreswan "Libreswan with the NAT-T drafts alone"
scenario_libreswan() {
    # Unpacked beside strongSwan: the two packages exclude each other.
    local debs=$W/libreswan
    mkdir -p "$debs" && (cd "$debs" && apt-get download -qq libreswan && dpkg -x libreswan*.deb root) > "$W/apt.log" 2>&1
    [ -x "$debs/root/usr/libexec/ipsec/pluto" ] || { problem "Libreswan cannot be unpacked, see apt.log"; return; }
    gateway_up && client IKE_DAEMON=libreswan LIBRESWAN="$debs/root" && connected 192.168.200.10
    expect_log 'nat="peer behind NAT"'
}
