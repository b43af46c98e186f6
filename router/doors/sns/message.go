// Package sns is a door for AWS SNS that takes CloudWatch's alarms. Messages are
// signed by AWS, and are believed for the topics of the configuration alone: a
// signature proves that AWS sent a message, not whose account it is about
// (https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html).
package sns

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SignatureVersion 1 is SHA1withRSA, and still the default of topics
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// The types of messages.
const (
	notification = "Notification"
	subscription = "SubscriptionConfirmation"
	unsubscribed = "UnsubscribeConfirmation"
)

// message is the body of a request
// (https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html).
type message struct {
	Type             string
	MessageID        string `json:"MessageId"`
	Token            string
	TopicArn         string
	Subject          *string
	Message          string
	SubscribeURL     string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
}

// host is where AWS serves the certificates and takes confirmations.
var host = regexp.MustCompile(`^sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?$`)

// trusted returns the URL where it leads to SNS itself, over HTTPS.
func trusted(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Port() != "" || !host.MatchString(u.Host) {
		return "", errors.New("the URL does not lead to https://sns.<region>.amazonaws.com")
	}
	return u.String(), nil
}

// certificateURL is trusted, and a file of the form that SNS signs with.
func certificateURL(raw string) (string, error) {
	clean, err := trusted(raw)
	if err != nil {
		return "", err
	}
	if u, err := url.Parse(clean); err != nil || !strings.HasPrefix(u.Path, "/SimpleNotificationService-") || !strings.HasSuffix(u.Path, ".pem") || u.RawQuery != "" {
		return "", errors.New("the URL does not name a certificate of SNS")
	}
	return clean, nil
}

func parse(body []byte) (*message, error) {
	m := &message{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("not a message of SNS: %w", err)
	}
	switch m.Type {
	case notification, subscription, unsubscribed:
		return m, nil
	default:
		return nil, errors.New("not a message of SNS: its Type is unknown")
	}
}

// signed is the text that is signed: some fields, in the order of their names.
func (m *message) signed() []byte {
	var b strings.Builder
	add := func(name, value string) { b.WriteString(name + "\n" + value + "\n") }
	add("Message", m.Message)
	add("MessageId", m.MessageID)
	if m.Type != notification {
		add("SubscribeURL", m.SubscribeURL)
		add("Timestamp", m.Timestamp)
		add("Token", m.Token)
	} else {
		if m.Subject != nil {
			add("Subject", *m.Subject)
		}
		add("Timestamp", m.Timestamp)
	}
	add("TopicArn", m.TopicArn)
	add("Type", m.Type)
	return []byte(b.String())
}

// verify checks the signature with the key of the certificate.
func (m *message) verify(key *rsa.PublicKey) error {
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		return errors.New("the signature is not base64")
	}
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(m.signed()) //nolint:gosec // see the import
		return rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(m.signed())
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		return errors.New("the version of the signature is unknown; want 1 or 2")
	}
}

// publicKey reads the key of a certificate. Whose it is was settled by where it
// came from.
func publicKey(file []byte) (*rsa.PublicKey, *x509.Certificate, error) {
	block, _ := pem.Decode(file)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, nil, errors.New("the certificate is not PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, nil, errors.New("the certificate's key is not RSA")
	}
	return key, cert, nil
}
