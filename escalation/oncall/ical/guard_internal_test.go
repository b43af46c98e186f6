package ical

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8": true, "93.184.215.14": true, "2606:4700::1111": true, "64:ff9b::808:808": true, "172.32.0.1": true, "100.128.0.1": true,
		"127.0.0.1": false, "10.0.0.1": false, "172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "0.0.0.0": false, "0.1.2.3": false,
		"100.64.0.1": false, "100.100.100.200": false, "192.0.0.192": false, "168.63.129.16": false, "198.18.0.1": false, "224.0.0.1": false, "239.1.1.1": false,
		"255.255.255.255": false, "240.0.0.1": false, "203.0.113.9": false,
		"::": false, "::1": false, "fe80::1": false, "fd00:ec2::254": false, "fec0::1": false, "ff02::1": false, "2001:db8::1": false, "2002:7f00:1::": false,
		"2001:0:1::": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false, "::7f00:1": false,
	} {
		assert.Equal(t, want, public(netip.MustParseAddr(address)), address)
	}
}

func TestTheGuardSeesThroughDisguises(t *testing.T) {
	t.Parallel()
	check := guard([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/64")})
	for _, address := range []string{"10.1.1.1:443", "[::ffff:10.1.1.1]:443", "[fe80::1%eth0]:80", "8.8.8.8:80"} {
		require.NoError(t, check("tcp", address, nil), address)
	}
	for _, address := range []string{"[::ffff:127.0.0.1]:80", "192.168.0.1:80", "[fe81::1%eth0]:80", "localhost:80", ""} {
		require.Error(t, check("tcp", address, nil), address)
	}
}

// What the tables hold is spelled right.
func TestTheTablesHold(t *testing.T) {
	t.Parallel()
	z := &zones{found: map[string]*time.Location{}}
	for name := range windows {
		assert.NotNil(t, z.location(name), name)
	}
}
