package ical

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// notPublic are the networks that netip does not know as private, from IANA's
// registries of special-purpose addresses, and the address at which Azure serves
// metadata to its machines.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT; Alibaba's metadata
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	// Addresses that carry an IPv4 address in them: Teredo, 6to4.
	netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001:2::/48"),
	netip.MustParsePrefix("2001:10::/28"),
	netip.MustParsePrefix("2001:20::/28"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("3fff::/20"),
}

var (
	// globalV6 is all of IPv6 that is assigned for the public.
	globalV6 = netip.MustParsePrefix("2000::/3")
	// nat64 addresses stand for the IPv4 address in their last four bytes (RFC
	// 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// guard returns a net.Dialer's Control, which sees the address that is really
// dialed, after the name was resolved.
func guard(allowed []netip.Prefix) func(network, address string, _ syscall.RawConn) error {
	allowed = slices.Clone(allowed)
	return func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("the address %q cannot be judged: %w", address, err)
		}
		ip := ap.Addr().WithZone("").Unmap()
		if public(ip) || slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return nil
		}
		return fmt.Errorf("%s is not a public address: allow its network in the configuration if the calendar is on your premises", ip)
	}
}

func public(ip netip.Addr) bool {
	if nat64.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case !ip.IsGlobalUnicast(), ip.IsPrivate(), ip.Is6() && !globalV6.Contains(ip):
		return false
	}
	return !slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(ip) })
}
