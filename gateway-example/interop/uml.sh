# Sourced by the inits of the User-Mode Linux: everything they write goes to tmpfs, never to the shared root.
# What they find is told as lines "RESULT name=value" on the console.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /run
D=/run/client; mkdir -p $D /run/xl2tpd /run/lock
. "$CLIENT_ENV"
# Debian keeps this kernel's modules beside the others.
mkdir -p $D/root/lib/modules
for d in /usr/lib/uml/modules/* /lib/modules/*; do [ -d "$d" ] && ln -sfn "$d" $D/root/lib/modules/; done
# All at once, and no search later: the first SA of a suite would wait for a dozen of them, each of half a second or more.
/sbin/modprobe -d $D/root -a esp4 xfrm_user l2tp_ppp ppp_async authenc echainiv seqiv cbc ctr gcm ghash-generic hmac \
    des_generic sha512_generic drbg jitterentropy_rng ipv6 overlay tun 2>/dev/null
echo > /proc/sys/kernel/modprobe
ip link set lo up; ip link set vec0 up
ip addr add 192.168.77.2/24 dev vec0; ip route add default via 192.168.77.1

cat > $D/strongswan.conf <<X
charon {
  load = random nonce aes sha1 sha2 md5 hmac gmp openssl kernel-netlink socket-default vici updown
  retransmit_tries = 1
  retransmit_timeout = 2.0
  filelog {
    f {
      path = $D/charon.log
      default = 1
      ike = 2
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://$D/vici
    }
  }
}
swanctl {
  load = random nonce sha1 pem openssl
  socket = unix://$D/vici
}
X

finish() {
    if [ -n "$LOG_LINES" ]; then
        for l in initiate charon xl2tpd ppp; do echo "--- $l"; tail -n "$LOG_LINES" $D/$l.log 2>/dev/null; done
    fi
    kill $charon 2>/dev/null; sleep 0.3; poweroff -f; sleep 5
}

# Starts charon and gives it $D/swanctl.conf.
charon() {
    export STRONGSWAN_CONF=$D/strongswan.conf
    /usr/lib/ipsec/charon >/dev/null 2>&1 & charon=$!
    i=0; while [ $i -lt 100 ] && ! [ -S $D/vici ]; do sleep 0.1; i=$((i+1)); done
    swanctl --load-all --file $D/swanctl.conf >/dev/null 2>&1
}

# Whether ppp0 has an address and is up, which comes after it.
ppp_is_up() { ip addr show dev ppp0 up 2>/dev/null | grep -q 'inet '; }
