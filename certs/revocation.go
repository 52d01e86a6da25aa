package certs

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// revocations are the lists of one file.
type revocations struct {
	lists []revocationList
}

// A revocationList is the list of one issuer, with its serial numbers ready to be looked up.
type revocationList struct {
	*x509.RevocationList
	since map[string]time.Time // by serial number
}

// deltaList (RFC 5280, section 5.2.4) and distributionPoint (5.2.5) are critical extensions of a list that holds only some
// of what an issuer has revoked.
var (
	deltaList         = asn1.ObjectIdentifier{2, 5, 29, 27}
	distributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// parseRevocations reads a file of lists: any number in PEM, or one in DER.
func parseRevocations(path string, text []byte) (*revocations, error) {
	var found revocations
	add := func(der []byte) error {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, e := range list.Extensions {
			switch {
			case e.Id.Equal(deltaList), e.Id.Equal(distributionPoint):
				return fmt.Errorf("%s: it is a list of a part of the certificates (extension %v), and a whole one is needed", path, e.Id)
			case e.Critical:
				return fmt.Errorf("%s: it has a critical extension that is not understood (%v)", path, e.Id)
			}
		}
		since := make(map[string]time.Time, len(list.RevokedCertificateEntries))
		for _, e := range list.RevokedCertificateEntries {
			since[string(e.SerialNumber.Bytes())] = e.RevocationTime
		}
		found.lists = append(found.lists, revocationList{list, since})
		return nil
	}
	if block, _ := pem.Decode(text); block == nil && len(text) > 0 {
		return &found, add(text)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		if err := add(block.Bytes); err != nil {
			return nil, err
		}
	}
	if len(found.lists) == 0 {
		return nil, fmt.Errorf("%s: it has no revocation list in it (PEM or DER)", path)
	}
	return &found, nil
}

// A revoker checks certificates against lists.
type revoker []*revocations

var errRevoked = errors.New("certs: the certificate was revoked")

// check tells why none of the chains is good. No certificate of a chain may be revoked, but for its root, which is trusted
// because the server's operator says so.
func (r revoker) check(chains [][]*x509.Certificate, now time.Time) error {
	err := errors.New("certs: no certificate was verified")
	for _, chain := range chains {
		err = nil
		for i := range len(chain) - 1 {
			err = cmp.Or(err, r.checkOne(chain[i], chain[i+1], now))
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// checkOne tells why a certificate of an issuer is not good. Of several lists of an issuer the newest counts.
func (r revoker) checkOne(cert, issuer *x509.Certificate, now time.Time) error {
	var newest *revocationList
	for _, file := range r {
		for i, list := range file.lists {
			if bytes.Equal(list.RawIssuer, issuer.RawSubject) && list.CheckSignatureFrom(issuer) == nil &&
				(newest == nil || list.ThisUpdate.After(newest.ThisUpdate)) {
				newest = &file.lists[i]
			}
		}
	}
	switch {
	case newest == nil:
		return fmt.Errorf("certs: there is no revocation list of the issuer %q", issuer.Subject.String())
	case !newest.NextUpdate.IsZero() && now.After(newest.NextUpdate):
		return fmt.Errorf("certs: the revocation list of %q is out of date since %v", issuer.Subject.String(),
			newest.NextUpdate.UTC().Format(time.RFC3339))
	}
	if since, revoked := newest.since[string(cert.SerialNumber.Bytes())]; revoked {
		return fmt.Errorf("%w: that of %q, on %s", errRevoked, cert.Subject.String(), since.UTC().Format(time.RFC3339))
	}
	return nil
}
