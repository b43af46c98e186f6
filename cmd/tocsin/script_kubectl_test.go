package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// standInKubectl keeps a deployment: how many replicas it has, and its revisions as
// the cluster tells of them.
const standInKubectl = `
case $* in
*" get deployment fusion-bitcoin-relayer --output=jsonpath={.spec.replicas}") cat "$STATE/replicas" ;;
*" get deployment fusion-bitcoin-relayer --output=jsonpath={.metadata.annotations."*) cat "$STATE/revision" ;;
*" get replicasets --output=jsonpath="*) cat "$STATE/sets" ;;
*" scale deployment fusion-bitcoin-relayer --current-replicas="*)
	for last; do :; done
	printf '%s' "${last#--replicas=}" >"$STATE/replicas"
	;;
*" rollout undo deployment/fusion-bitcoin-relayer --to-revision=2")
	printf 4 >"$STATE/revision"
	printf 'fusion-bitcoin-relayer 1 \nfusion-bitcoin-relayer 3 \nfusion-bitcoin-relayer 4 2\nother 9 \n' >"$STATE/sets"
	;;
*" rollout status deployment/fusion-bitcoin-relayer --timeout=90s") [ ! -e "$STATE/stuck" ] ;;
*) echo "not found" >&2; exit 1 ;;
esac`

func TestScaleDeploymentScript(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.run(69, "scale-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer")
	b.standIn("kubectl", standInKubectl)
	b.set("replicas", "3")
	assert.Contains(t, b.run(0, "scale-deployment", "--dry-run", "fusion-bitcoin", "fusion-bitcoin-relayer"), "from 3 to 4")
	assert.Equal(t, "3", b.get("replicas"))
	b.run(0, "scale-deployment", "--max", "4", "fusion-bitcoin", "fusion-bitcoin-relayer")
	assert.Equal(t, "4", b.get("replicas"))
	assert.Contains(t, b.calls(), "[--namespace=fusion-bitcoin] [scale] [deployment] [fusion-bitcoin-relayer] [--current-replicas=3] [--replicas=4]\n")
	b.run(73, "scale-deployment", "--max", "4", "fusion-bitcoin", "fusion-bitcoin-relayer")
	b.run(0, "scale-deployment", "--by", "-2", "--min", "2", "fusion-bitcoin", "fusion-bitcoin-relayer")
	assert.Equal(t, "2", b.get("replicas"))
	b.run(73, "scale-deployment", "--by", "-1", "--min", "2", "fusion-bitcoin", "fusion-bitcoin-relayer")
	b.run(69, "scale-deployment", "fusion-bitcoin", "unknown")
	b.set("stuck", "")
	b.run(70, "scale-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer")
	b.set("replicas", "many")
	b.run(69, "scale-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer")
}

func TestRollbackDeploymentScript(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.run(69, "rollback-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer")
	b.standIn("kubectl", standInKubectl)
	b.set("revision", "3")
	b.set("sets", "other 2 \nfusion-bitcoin-relayer 1 \nfusion-bitcoin-relayer 3 \nfusion-bitcoin-relayer 2 \n  \nother 9 ")
	assert.Contains(t, b.run(0, "rollback-deployment", "--dry-run", "fusion-bitcoin", "fusion-bitcoin-relayer"), "from revision 3 to 2")
	assert.Equal(t, "3", b.get("revision"))
	assert.Contains(t, b.run(0, "rollback-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer"), "from revision 3 to 2")
	assert.Equal(t, "4", b.get("revision"))
	assert.Contains(t, b.run(73, "rollback-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer"), "brought back already")
	assert.Equal(t, 1, strings.Count(b.calls(), "[undo]"), "what was brought back is not brought back again")
	b.set("sets", "fusion-bitcoin-relayer 4 \n")
	b.run(73, "rollback-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer")
	b.run(69, "rollback-deployment", "fusion-bitcoin", "unknown")
	b.set("stuck", "")
	b.set("revision", "3")
	b.set("sets", "fusion-bitcoin-relayer 2 \nfusion-bitcoin-relayer 3 \n")
	b.run(70, "rollback-deployment", "fusion-bitcoin", "fusion-bitcoin-relayer")
}

// kubernetes is as much of the API of Kubernetes as kubectl needs for one deployment
// (https://kubernetes.io/docs/reference/kubernetes-api/), and of its controller: what
// is patched in becomes a new revision, or an old one anew.
type kubernetes struct {
	mu       sync.Mutex
	replicas int
	image    string
	revision int
	sets     []*replicaSet
	asked    []string
}

type replicaSet struct {
	image    string
	revision int
	history  string
}

type object = map[string]any

const (
	theNamespace = "fusion-bitcoin"
	theName      = "fusion-bitcoin-relayer"
)

func (k *kubernetes) template(image string) object {
	return object{
		"metadata": object{"labels": object{"app": theName}},
		"spec":     object{"containers": []any{object{"name": "relayer", "image": image}}},
	}
}

func (k *kubernetes) deployment() object {
	return object{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": object{
			"name": theName, "namespace": theNamespace, "uid": "d", "resourceVersion": "1", "generation": 1,
			"annotations": object{"deployment.kubernetes.io/revision": fmt.Sprint(k.revision)},
		},
		"spec": object{"replicas": k.replicas, "selector": object{"matchLabels": object{"app": theName}}, "template": k.template(k.image)},
		"status": object{
			"observedGeneration": 1, "replicas": k.replicas, "updatedReplicas": k.replicas, "readyReplicas": k.replicas, "availableReplicas": k.replicas,
			"conditions": []any{object{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}},
		},
	}
}

func (k *kubernetes) replicaSets() object {
	items := []any{}
	for n, s := range k.sets {
		annotations := object{"deployment.kubernetes.io/revision": fmt.Sprint(s.revision)}
		if s.history != "" {
			annotations["deployment.kubernetes.io/revision-history"] = s.history
		}
		items = append(items, object{
			"apiVersion": "apps/v1", "kind": "ReplicaSet",
			"metadata": object{
				"name": fmt.Sprintf("%s-%d", theName, n), "namespace": theNamespace, "uid": fmt.Sprint("r", n), "annotations": annotations,
				"labels":          object{"app": theName},
				"ownerReferences": []any{object{"apiVersion": "apps/v1", "kind": "Deployment", "name": theName, "uid": "d", "controller": true}},
			},
			"spec": object{"replicas": 0, "selector": object{"matchLabels": object{"app": theName}}, "template": k.template(s.image)},
		})
	}
	return object{"apiVersion": "apps/v1", "kind": "ReplicaSetList", "metadata": object{"resourceVersion": "1"}, "items": items}
}

func (k *kubernetes) scale() object {
	return object{
		"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": object{"name": theName, "namespace": theNamespace, "resourceVersion": "1"},
		"spec": object{"replicas": k.replicas}, "status": object{"replicas": k.replicas},
	}
}

// ServeHTTP answers kubectl.
func (k *kubernetes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := "/apis/apps/v1/namespaces/" + theNamespace
	if r.URL.Query().Get("watch") == "true" {
		w.Header().Set("Content-Type", "application/json")
		_ = http.NewResponseController(w).Flush() // who does not see it, sees that the test takes too long
		<-r.Context().Done()                      // nothing changes any more
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var answer object
	switch path := r.URL.Path; path {
	case "/api":
		answer = object{"kind": "APIVersions", "versions": []any{"v1"}}
	case "/api/v1":
		answer = object{"kind": "APIResourceList", "groupVersion": "v1", "resources": []any{}}
	case "/apis":
		version := object{"groupVersion": "apps/v1", "version": "v1"}
		answer = object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{object{"name": "apps", "versions": []any{version}, "preferredVersion": version}}}
	case "/apis/apps/v1":
		answer = object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1", "resources": []any{
			object{"name": "deployments", "singularName": "deployment", "namespaced": true, "kind": "Deployment", "verbs": []any{"get", "list", "patch", "watch"}},
			object{"name": "deployments/scale", "namespaced": true, "group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": []any{"get", "patch", "update"}},
			object{"name": "replicasets", "singularName": "replicaset", "namespaced": true, "kind": "ReplicaSet", "verbs": []any{"get", "list", "watch"}},
		}}
	case in + "/deployments":
		answer = object{"apiVersion": "apps/v1", "kind": "DeploymentList", "metadata": object{"resourceVersion": "1"}, "items": []any{k.deployment()}}
	case in + "/replicasets":
		answer = k.replicaSets()
	case in + "/deployments/" + theName, in + "/deployments/" + theName + "/scale":
		answer = k.one(r, strings.HasSuffix(path, "/scale"))
	}
	k.asked = append(k.asked, r.Method+" "+strings.TrimPrefix(r.URL.Path, in))
	w.Header().Set("Content-Type", "application/json")
	if answer == nil {
		w.WriteHeader(http.StatusNotFound)
		answer = object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": r.URL.Path + " not found"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// one looks at the deployment or its scale, or changes it.
func (k *kubernetes) one(r *http.Request, scale bool) object {
	switch {
	case r.Method == http.MethodGet && scale:
		return k.scale()
	case r.Method == http.MethodGet:
		return k.deployment()
	case scale:
		var s struct{ Spec struct{ Replicas int } }
		if json.NewDecoder(r.Body).Decode(&s) == nil {
			k.replicas = s.Spec.Replicas
		}
		return k.scale()
	}
	var patch []struct {
		Path  string
		Value struct {
			Spec struct{ Containers []struct{ Image string } }
		}
	}
	_ = json.NewDecoder(r.Body).Decode(&patch) // annotations are of another form, and do not matter
	for _, p := range patch {
		if p.Path == "/spec/template" && len(p.Value.Spec.Containers) == 1 {
			k.deploy(p.Value.Spec.Containers[0].Image)
		}
	}
	return k.deployment()
}

// deploy rolls an image out, as the controller does.
func (k *kubernetes) deploy(image string) {
	k.image = image
	k.revision++
	for _, s := range k.sets {
		if s.image == image {
			s.history, s.revision = strings.TrimPrefix(fmt.Sprintf("%s,%d", s.history, s.revision), ","), k.revision
			return
		}
	}
	k.sets = append(k.sets, &replicaSet{image: image, revision: k.revision})
}

// The scripts do with the real kubectl what they do with the stand-in, in the sandbox
// that deploy/examples declares.
func TestDeploymentScriptsWithKubectl(t *testing.T) {
	t.Parallel()
	b := newBox(t, "kubectl")
	k := &kubernetes{replicas: 3}
	for _, image := range []string{"relayer:1", "relayer:2", "relayer:3"} {
		k.deploy(image)
	}
	srv := httptest.NewServer(k)
	t.Cleanup(srv.Close)
	b.connect = []int{portOf(t, srv.URL)}
	config := filepath.Join(b.state, "kubeconfig")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: x,
  clusters: [{name: x, cluster: {server: "%s"}}], contexts: [{name: x, context: {cluster: x, user: x}}], users: [{name: x, user: {token: t}}]}`, srv.URL), 0o600))
	b.environment = []string{"KUBECONFIG=" + config}

	assert.Contains(t, b.run(0, "scale-deployment", "--dry-run", theNamespace, theName), "from 3 to 4")
	assert.Equal(t, 3, k.replicas)
	assert.Contains(t, b.run(0, "scale-deployment", "--max", "4", theNamespace, theName), "has 4 replicas now; it had 3")
	assert.Equal(t, 4, k.replicas)
	b.run(73, "scale-deployment", "--max", "4", theNamespace, theName)
	b.run(69, "scale-deployment", theNamespace, "unknown")

	assert.Contains(t, b.run(0, "rollback-deployment", "--dry-run", theNamespace, theName), "from revision 3 to 2")
	assert.Equal(t, "relayer:3", k.image)
	b.run(0, "rollback-deployment", theNamespace, theName)
	assert.Equal(t, "relayer:2", k.image)
	assert.Contains(t, b.run(73, "rollback-deployment", theNamespace, theName), "brought back already")
	k.deploy("relayer:4")
	b.run(0, "rollback-deployment", theNamespace, theName)
	assert.Equal(t, "relayer:2", k.image)
	for _, asked := range k.asked {
		assert.NotRegexp(t, "secrets|pods|DELETE|POST", asked, "rbac.yaml allows what they do")
	}
}
