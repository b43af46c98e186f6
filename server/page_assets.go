package server

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"
)

// assets are the files that pages load. Their addresses hold a hash of what is in
// them, so that browsers keep them for good and never have the wrong one.
type assets struct {
	// paths of a file's name: "app.js" -> "/assets/app-0123456789abcdef.js".
	paths map[string]string
	files map[string][]byte
}

const pathAssets = "/assets/"

func newAssets(files embed.FS, dir string) (assets, error) {
	a := assets{paths: map[string]string{}, files: map[string][]byte{}}
	entries, err := files.ReadDir(dir)
	if err != nil {
		return a, err
	}
	for _, entry := range entries {
		content, err := files.ReadFile(path.Join(dir, entry.Name()))
		if err != nil {
			return a, err
		}
		sum := sha256.Sum256(content)
		ext := path.Ext(entry.Name())
		name := strings.TrimSuffix(entry.Name(), ext) + "-" + hex.EncodeToString(sum[:8]) + ext
		a.paths[entry.Name()], a.files[name] = pathAssets+name, content
	}
	return a, nil
}

// path is the address of a file.
func (a assets) path(name string) (string, error) {
	if p, ok := a.paths[name]; ok {
		return p, nil
	}
	return "", fmt.Errorf("no asset %s", name)
}

// asset serves a file that pages load, to anybody: the page that asks for a login
// needs it too.
func (s *Server) asset(c echo.Context) error {
	name := c.Param("name")
	content, ok := s.pages.assets.files[name]
	if !ok {
		return notFound("asset")
	}
	kind := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(name)]
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	h.Set(echo.HeaderXContentTypeOptions, "nosniff")
	h.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'")
	return c.Blob(http.StatusOK, kind, content)
}
