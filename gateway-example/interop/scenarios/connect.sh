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
