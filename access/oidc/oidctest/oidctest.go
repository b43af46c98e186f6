// Package oidctest is an OpenID Connect provider for tests, which can be made to do
// everything wrong. What a person does there is Login.
package oidctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Issuer is the provider. Its fields are changed before it is used, or within Set.
type Issuer struct {
	*httptest.Server

	// RedirectURL is where it sends people back to.
	RedirectURL string
	// Now is its clock.
	Now func() time.Time
	// Claims are those of the next ID token, beside the usual ones; a nil value
	// leaves one out.
	Claims map[string]any
	// Info are those of the user info; nil: there is no such endpoint.
	Info map[string]any
	// Away: everything is answered with 502.
	Away bool
	// Sign is how the ID token is signed: "" right, "none" not at all, "other" with
	// another key, "hmac" with the public key as the secret.
	Sign string
	// SendsIssuer: it says that its answers name it (RFC 9207).
	SendsIssuer bool
	// TokenError is the status of the token endpoint, unless it is 0.
	TokenError int
	// NoIDToken: the token endpoint gives an access token alone.
	NoIDToken bool
	// Discoveries counts how often it was asked what it says of itself.
	Discoveries int

	tb  testing.TB
	key *ecdsa.PrivateKey
	mu  sync.Mutex
	// challenges and nonces are those of the codes that were given.
	challenges, nonces map[string]string
}

// ClientID is the only client that it knows.
const ClientID = "tocsin"

// New starts an issuer that ends with the test.
func New(tb testing.TB, redirectURL string, now func() time.Time) *Issuer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(tb, err)
	i := &Issuer{tb: tb, key: key, RedirectURL: redirectURL, Now: now, Claims: map[string]any{}, challenges: map[string]string{}, nonces: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /userinfo", i.userInfo)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.Away {
			http.Error(w, "the database is down: password=hunter2", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(i.Close)
	return i
}

// Set changes how it answers.
func (i *Issuer) Set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// answer writes JSON.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	i.Discoveries++
	d := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}, "response_types_supported": []string{"code"},
		"authorization_response_iss_parameter_supported": i.SendsIssuer,
	}
	if i.Info != nil {
		d["userinfo_endpoint"] = i.URL + "/userinfo"
	}
	answer(w, d)
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	enc := base64.RawURLEncoding
	x, y := i.public()
	answer(w, map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": enc.EncodeToString(x), "y": enc.EncodeToString(y),
	}}})
}

// Login is what a person does at the provider: it takes the address that the
// browser was sent to, and returns what it comes back with.
func (i *Issuer) Login(address string) url.Values {
	i.tb.Helper()
	u, err := url.Parse(address)
	require.NoError(i.tb, err)
	q := u.Query()
	require.Equal(i.tb, "code", q.Get("response_type"))
	require.Equal(i.tb, "S256", q.Get("code_challenge_method"))
	require.Equal(i.tb, ClientID, q.Get("client_id"))
	require.Equal(i.tb, i.RedirectURL, q.Get("redirect_uri"))
	code := rand.Text()
	i.Set(func() {
		i.challenges[code] = q.Get("code_challenge")
		i.nonces[code] = q.Get("nonce")
	})
	return url.Values{"code": {code}, "state": {q.Get("state")}}
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	code := r.FormValue("code")
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	if i.TokenError != 0 || i.challenges[code] != base64.RawURLEncoding.EncodeToString(sum[:]) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(max(i.TokenError, http.StatusBadRequest))
		answer(w, map[string]any{"error": "invalid_grant", "error_description": "secret=hunter2"})
		return
	}
	out := map[string]any{"access_token": "at-" + code, "token_type": "Bearer", "expires_in": 60}
	if !i.NoIDToken {
		out["id_token"] = i.idToken(i.nonces[code])
	}
	delete(i.challenges, code)
	answer(w, out)
}

func (i *Issuer) idToken(nonce string) string {
	claims := map[string]any{
		"iss": i.URL, "aud": ClientID, "sub": "00u1", "exp": i.Now().Add(time.Minute).Unix(), "iat": i.Now().Unix(),
		"nonce": nonce, "email": "ana@example.com", "email_verified": true,
	}
	for name, value := range i.Claims {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	alg := map[string]string{"": "ES256", "other": "ES256", "none": "none", "hmac": "HS256"}[i.Sign]
	return i.jws(map[string]any{"alg": alg, "kid": "k1"}, claims)
}

func (i *Issuer) jws(header, claims map[string]any) string {
	enc := base64.RawURLEncoding
	h, err := json.Marshal(header)
	require.NoError(i.tb, err)
	c, err := json.Marshal(claims)
	require.NoError(i.tb, err)
	signed := enc.EncodeToString(h) + "." + enc.EncodeToString(c)
	sum := sha256.Sum256([]byte(signed))
	key := i.key
	switch i.Sign {
	case "none":
		return signed + "."
	case "other":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(i.tb, err)
	case "hmac":
		x, _ := i.public()
		mac := hmac.New(sha256.New, x)
		mac.Write([]byte(signed))
		return signed + "." + enc.EncodeToString(mac.Sum(nil))
	}
	r, v, err := ecdsa.Sign(rand.Reader, key, sum[:])
	require.NoError(i.tb, err)
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	v.FillBytes(sig[32:])
	return signed + "." + enc.EncodeToString(sig)
}

// public are the coordinates of the public key.
func (i *Issuer) public() (x, y []byte) {
	point, err := i.key.PublicKey.Bytes() // 4, X, Y
	require.NoError(i.tb, err)
	return point[1:33], point[33:]
}

func (i *Issuer) userInfo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	answer(w, i.Info)
}
