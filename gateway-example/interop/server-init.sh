#!/bin/sh
# Init of the User-Mode Linux server: strongSwan, xl2tpd and pppd as most of the world's gateways run them. It serves one
# warrior, from its coming to its going.
. "${0%/*}/uml.sh"

cat > $D/swanctl.conf <<X
connections {
  l2tp {
    version = 1
    proposals = $IKE
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
        remote_ts = dynamic[udp]
        esp_proposals = $ESP
      }
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
[lns default]
ip range = 192.168.30.100-192.168.30.110
local ip = 192.168.30.1
require authentication = yes
name = server
ppp debug = yes
pppoptfile = $D/ppp.options
length bit = yes
$L2TP_EXTRA
X
cat > $D/ppp.options <<X
auth
noccp
nodefaultroute
ms-dns $TEST_HOST
mtu 1400
mru 1400
debug
logfile $D/ppp.log
$PPP_EXTRA
X
# pppd looks for its users there and nowhere else.
cp -r /etc/ppp $D/etc-ppp; mount --bind $D/etc-ppp /etc/ppp
echo "$PPP_USER * $PPP_PASSWORD *" | tee /etc/ppp/chap-secrets > /etc/ppp/pap-secrets

ip addr add $TEST_HOST/32 dev lo
"$PYTHON" "$TRANSFER" serve $TEST_HOST 5001 >/dev/null 2>&1 &
charon
xl2tpd -D -c $D/xl2tpd.conf -p $D/xl2tpd.pid -C /run/xl2tpd/l2tp-control > $D/xl2tpd.log 2>&1 &
sleep 0.5
echo "RESULT serving=0"
i=0; while ! ppp_is_up && [ $i -lt 240 ]; do sleep 0.25; i=$((i+1)); done
ip addr show ppp0 2>/dev/null | sed -n 's/.*inet \([0-9.]*\) peer \([0-9.]*\).*/RESULT ppp local=\1 peer=\2/p'
ip -s xfrm state | grep -q 'encap type espinudp' && echo "RESULT encapsulation=udp" || echo "RESULT encapsulation=none"
i=0; while ip link show ppp0 >/dev/null 2>&1 && [ $i -lt 600 ]; do sleep 0.25; i=$((i+1)); done
# All of it goes on the warrior's word, and soon.
i=0; while ip xfrm state | grep -q '^src' && [ $i -lt 40 ]; do sleep 0.25; i=$((i+1)); done
echo "RESULT esp_sas=$(ip xfrm state | grep -c '^src') ike_sas=$(swanctl --list-sas | grep -c ESTABLISHED)"
echo "RESULT goodbye=$(grep -c 'Connection closed' $D/xl2tpd.log)"
finish
