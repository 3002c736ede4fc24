# Sourced by run: ESP's algorithms.

# Every suite of the esp crate but NULL, as swanctl writes them.
ESP_SUITES="aes128gcm16 aes192gcm16 aes256gcm16"
for cipher in des 3des aes128 aes192 aes256; do
    for hash in md5 sha1 sha256 sha384 sha512; do ESP_SUITES+=" $cipher-$hash"; done
done

# Packets that fit with the longest IV and ICV.
UNFRAGMENTED=$'refuse-eap\nmtu 1300\nmru 1300'

# every_suite SUITE...: what the client must say of each
every_suite() {
    local suite
    for suite; do expect "suite=$suite ping=0 transfer=0 moved=2"; done
}

scenario esp-suites "kernel ESP, both ways, with every suite one after the other"
scenario_esp_suites() {
    LIMIT=400
    gateway_up legacy_xp && client IKE=aes128-sha1-ecp256 SUITES="$ESP_SUITES" PPP_EXTRA="$UNFRAGMENTED" MEGABYTES=1 && connected 192.168.200.10
    every_suite $ESP_SUITES
    unset LIMIT
}

scenario esp-suites-96 "kernel ESP with SHA-256 cut to 96 bits, as old Android and Linux do it"
scenario_esp_suites_96() {
    local suites="des-sha256 3des-sha256 aes128-sha256 aes192-sha256 aes256-sha256"
    GATEWAY_EXTRA=$'[esp]\nsha256_96 = ["any"]' gateway_up legacy_xp && client IKE=aes128-sha1-ecp256 SUITES="$suites" \
        CHILD_EXTRA='sha256_96 = yes' PPP_EXTRA="$UNFRAGMENTED" MEGABYTES=1 && connected 192.168.200.10
    every_suite $suites
    expect_log 'DES_CBC/HMAC_SHA2_256_96'
}

scenario esp-long-icv "kernel ESP with the longest ICV and packets as long as PPP agrees on"
scenario_esp_long_icv() {
    local suites="aes128-sha512 aes256-sha512"
    gateway_up && client IKE=aes128-sha1-ecp256 SUITES="$suites" MEGABYTES=1 && connected 192.168.200.10
    every_suite $suites
}

scenario esp-suites-native "kernel ESP as IP protocol 50 with every kind of cipher and hash"
scenario_esp_suites_native() {
    local suites="aes128gcm16 des-md5 3des-sha1 aes128-sha256 aes192-sha384 aes256-sha512"
    gateway_up legacy_xp && client IKE=aes128-sha1-ecp256 SUITES="$suites" PPP_EXTRA="$UNFRAGMENTED" MEGABYTES=1 && connected 192.168.200.10
    expect encapsulation=none
    every_suite $suites
}
