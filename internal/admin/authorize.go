package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// An authorizer lets in requests that have the token, or without one those that name this host by its address.
type authorizer struct {
	token  string
	cookie string // what a browser that has shown the token is given
}

// cookieName is that of the cookie which browsers send with a WebSocket, where they send no Authorization.
const cookieName = "switchboard-admin"

func newAuthorizer(token string) authorizer {
	d := authorizer{token: token}
	if token != "" {
		key := make([]byte, 32)
		rand.Read(key)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(token))
		d.cookie = hex.EncodeToString(mac.Sum(nil))
	}
	return d
}

func (d authorizer) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case d.token == "" && !namesAddress(r.Host):
			http.Error(w, "name this host by its IP address or as localhost, or start it with --admin-token", http.StatusMisdirectedRequest)
		case d.token != "" && !d.admits(w, r):
			w.Header().Set("WWW-Authenticate", `Basic realm="switchboard: any name, and the token as the password", charset="UTF-8"`)
			http.Error(w, "send the token of --admin-token: Authorization: Bearer TOKEN, or as the password", http.StatusUnauthorized)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// admits tells whether r has the token, or the cookie, which it is given otherwise.
func (d authorizer) admits(w http.ResponseWriter, r *http.Request) bool {
	if c, err := r.Cookie(cookieName); err == nil && same(c.Value, d.cookie) {
		return true
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return same(strings.TrimSpace(given), d.token)
	}
	if _, password, ok := r.BasicAuth(); !ok || !same(password, d.token) {
		return false
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: d.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return true
}

// same compares in a time that tells nothing of either.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// namesAddress tells whether a request's Host is an IP address or localhost. A Unix socket's clients say what they like.
func namesAddress(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	_, err := netip.ParseAddr(host)
	return err == nil || strings.EqualFold(host, "localhost") || host == ""
}
