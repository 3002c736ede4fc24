#!/bin/sh
# Init of the User-Mode Linux client.
. "${0%/*}/uml.sh"

# A child for each of SUITES, named after it.
SUITE_CHILDREN=
for suite in $SUITES; do
    SUITE_CHILDREN="$SUITE_CHILDREN
      $suite {
        mode = transport
        local_ts = dynamic[udp/1701]
        remote_ts = dynamic[udp/1701]
        esp_proposals = $suite
        $CHILD_EXTRA
      }"
done
cat > $D/swanctl.conf <<X
connections {
  l2tp {
    version = 1
    remote_addrs = $SERVER
    proposals = $IKE
    $CONN_EXTRA
    local {
      auth = psk
    }
    remote {
      auth = psk
      id = %any
    }
    children {
      l2tp {
        mode = transport
        local_ts = dynamic[udp/1701]
        remote_ts = dynamic[udp/1701]
        esp_proposals = $ESP
        $CHILD_EXTRA
      }
$SUITE_CHILDREN
    }
  }
}
secrets {
  ike-1 {
    secret = "$PSK"
  }
}
X
cat > $D/xl2tpd.conf <<X
[global]
port = 1701
$L2TP_GLOBAL
[lac office]
lns = $SERVER
ppp debug = yes
pppoptfile = $D/ppp.options
length bit = yes
$L2TP_EXTRA
X
cat > $D/ppp.options <<X
ipcp-accept-local
ipcp-accept-remote
noccp
noauth
nodefaultroute
usepeerdns
debug
mtu 1400
mru 1400
name $PPP_USER
password $PPP_PASSWORD
$PPP_EXTRA
logfile $D/ppp.log
X

strongswan() {
    charon
    swanctl --initiate --child l2tp --timeout 60 > $D/initiate.log 2>&1; ike=$?
}

# Libreswan announces the NAT-T drafts alone, which strongSwan cannot be told to.
libreswan() {
    # It wants its helpers where its package would have put them.
    pluto=/usr/libexec/ipsec
    mount -t tmpfs tmp /usr/libexec; ln -s $LIBRESWAN/usr/libexec/ipsec $pluto
    mkdir -p $D/nss; certutil -N -d sql:$D/nss --empty-password
    echo ": PSK \"$PSK\"" > $D/ipsec.secrets; printf 'config setup\n    ikev1-policy=accept\n' > $D/ipsec.conf
    $pluto/pluto --nofork --stderrlog --config $D/ipsec.conf --nssdir $D/nss --rundir $D --ipsecdir $D \
        --secretsfile $D/ipsec.secrets --dumpdir $D --no-dnssec --use-xfrm > $D/charon.log 2>&1 & charon=$!
    i=0; while [ $i -lt 100 ] && ! [ -S $D/pluto.ctl ]; do sleep 0.1; i=$((i+1)); done
    whack="$pluto/whack --rundir $D"
    $whack --listen > $D/initiate.log 2>&1
    $whack --name l2tp --ikev1 --psk --encrypt --ikev1-natt drafts --encaps auto --ike 'aes256-sha1;modp2048' --esp aes256-sha1 \
        --host 192.168.77.2 --clientprotoport 17/1701 --updown /bin/true \
        --to --host $SERVER --clientprotoport 17/1701 >> $D/initiate.log 2>&1
    timeout 60 $whack --name l2tp --initiate >> $D/initiate.log 2>&1
    ip xfrm state | grep -q 'mode transport'; ike=$?
}

"${IKE_DAEMON:-strongswan}"
echo "RESULT ike=$ike"
grep -h 'selected proposal' $D/charon.log
[ $ike = 0 ] || finish
ip -s xfrm state | grep -q 'encap type espinudp' && echo "RESULT encapsulation=udp" || echo "RESULT encapsulation=none"
xl2tpd -D -c $D/xl2tpd.conf -p $D/xl2tpd.pid -C /run/xl2tpd/l2tp-control > $D/xl2tpd.log 2>&1 &
# Written to before it is there, it would be a file.
i=0; while ! [ -p /run/xl2tpd/l2tp-control ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
echo "c office" > /run/xl2tpd/l2tp-control
i=0; while [ $i -lt 160 ] && ! ppp_is_up; do
    sleep 0.25; i=$((i+1))
    grep -q 'authentication failed' $D/ppp.log 2>/dev/null && break
done
ip addr show ppp0 2>/dev/null | sed -n 's/.*inet \([0-9.]*\) peer \([0-9.]*\).*/RESULT ppp local=\1 peer=\2/p'
if ppp_is_up; then
    ip route add $TEST_NET dev ppp0
    ping -c 3 -W 2 $TEST_HOST > $D/ping.log 2>&1; echo "RESULT ping=$?"; tail -2 $D/ping.log
    # pppd writes of it when its address is up already.
    echo "RESULT dns=$(sed -n 's/.*primary *DNS address //p' $D/ppp.log | tail -1)"
    last=l2tp
    for suite in $SUITES; do
        # Make before break: the old SA goes when the new one is there.
        swanctl --initiate --child $suite --timeout 20 >> $D/initiate.log 2>&1
        swanctl --terminate --child $last >> $D/initiate.log 2>&1
        last=$suite; ping=0
        for size in 0 1 100 777 1272; do
            ping -c 1 -W 2 -s $size $TEST_HOST >> $D/ping.log 2>&1 || ping=$((ping + 1))
        done
        "$PYTHON" "$TRANSFER" run $TEST_HOST 5001 1 > $D/transfer.log 2>&1; transfer=$?
        # Both SAs of the only pair that is left have carried it.
        moved=$(ip -s xfrm state | grep -cE '^[[:space:]]*[0-9]{6,}\(bytes\), [0-9]+\(packets\)')
        echo "RESULT suite=$suite ping=$ping transfer=$transfer moved=$moved"
    done
    if [ -n "$IDLE_SECONDS" ]; then
        sleep $IDLE_SECONDS
        ping -c 1 -W 2 $TEST_HOST > $D/idle.log 2>&1; echo "RESULT idle=$?"
    fi
    if [ -n "$RETURN_SECONDS" ]; then
        # The gateway is about to go; nobody here does anything about it.
        echo "RESULT waiting=0"
        i=0; while ppp_is_up && [ $i -lt 60 ]; do sleep 1; i=$((i+1)); done; echo "RESULT went_after=$i"
        i=0; while ! ppp_is_up && [ $i -lt $RETURN_SECONDS ]; do sleep 1; i=$((i+1)); done; echo "RESULT back_after=$i"
        ip route add $TEST_NET dev ppp0
        ping -c 3 -W 2 $TEST_HOST > $D/back.log 2>&1; echo "RESULT back=$?"
    fi
    if [ -n "$HOLD_SECONDS" ]; then
        # Five pings a second through every rekey.
        ping -i 0.2 -w $HOLD_SECONDS -q $TEST_HOST > $D/hold.log 2>&1 &
        "$PYTHON" "$TRANSFER" run $TEST_HOST 5001 20 > $D/transfer.log 2>&1
        wait $!
        sent=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1/p' $D/hold.log)
        received=$(sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\2/p' $D/hold.log)
        echo "RESULT hold sent=$sent lost=$((sent - received))"
        echo "RESULT ike_rekeys=$(grep -c 'IKE_SA l2tp\[[0-9]*\] established' $D/charon.log)"
        echo "RESULT child_rekeys=$(grep -c 'CHILD_SA l2tp{[0-9]*} established' $D/charon.log)"
    fi
    if [ -n "$BENCH_SECONDS" ]; then
        for direction in up down; do
            [ $direction = down ] && reverse=-R || reverse=
            echo "BENCH $direction"
            iperf3 -c $TEST_HOST -t $BENCH_SECONDS -J $reverse > $D/iperf3.json 2>&1
            echo "BENCH $direction bits_per_second=$(sed -n '/"sum_received"/,/}/s/.*"bits_per_second":[^0-9]*\([0-9.e+]*\).*/\1/p' $D/iperf3.json)"
        done
    fi
    [ -n "$MEGABYTES" ] && "$PYTHON" "$TRANSFER" run $TEST_HOST 5001 $MEGABYTES
else
    echo "RESULT ppp=failed"
fi
echo "d office" > /run/xl2tpd/l2tp-control; sleep 1
if [ -n "$whack" ]; then $whack --name l2tp --terminate; else swanctl --terminate --ike l2tp; fi >/dev/null 2>&1
echo "RESULT down=$?"
finish
