// go-plex-client: by code, by password, the account, its lists, and a server of it. Prints STEP, tab, outcome, as
// interop.py does.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"

	plex "github.com/jrudio/go-plex-client"
)

var failed bool

func post(url string, body []byte, token string) (map[string]any, error) {
	request, err := http.NewRequest("POST", url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Plex-Token", token)
	request.Header.Set("Accept", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	answer := map[string]any{}
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}

func order(call string, body map[string]any) error {
	text, _ := json.Marshal(body)
	_, err := post(os.Getenv("FAKE_PLEXTV")+"/fake/"+call, text, "")
	return err
}

func step(name string, what func() error) {
	if err := what(); err != nil {
		failed = true
		fmt.Printf("%s\tFAILED\t%s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("%s\tok\n", name)
}

func titles(server *plex.Plex) error {
	libraries, err := server.GetLibraries()
	if err != nil {
		return err
	}
	var found []string
	for _, directory := range libraries.MediaContainer.Directory {
		found = append(found, directory.Title)
	}
	if got := strings.Join(found, ","); got != "Movies,TV Shows,Music" {
		return fmt.Errorf("libraries: %s", got)
	}
	return nil
}

func main() {
	var client, server *plex.Plex
	var attic plex.PMSDevices

	step("pin", func() error {
		probe, err := plex.New("", "none")
		if err != nil {
			return err
		}
		pin, err := plex.RequestPIN(probe.Headers)
		if err != nil {
			return err
		}
		if _, err := plex.CheckPIN(pin.ID, pin.ClientIdentifier); err == nil {
			return fmt.Errorf("linked before it was approved")
		}
		if err := order("approve", map[string]any{"code": pin.Code, "via": "link"}); err != nil {
			return err
		}
		linked, err := plex.CheckPIN(pin.ID, pin.ClientIdentifier)
		if err != nil {
			return err
		}
		client, err = plex.New("", linked.AuthToken)
		return err
	})
	if client == nil {
		os.Exit(1)
	}
	step("password", func() error {
		_, err := plex.SignIn("demo", "password-of-demo")
		return err
	})
	step("account", func() error {
		_, err := client.MyAccount()
		return err
	})
	step("resources", func() error {
		servers, err := client.GetServers()
		for _, found := range servers {
			if found.Name == "Attic" {
				attic = found
			}
		}
		if err == nil && attic.AccessToken == "" {
			err = fmt.Errorf("no Attic among %d servers", len(servers))
		}
		return err
	})
	step("connect", func() (err error) {
		if len(attic.Connection) == 0 {
			return fmt.Errorf("no connection")
		}
		server, err = plex.New(attic.Connection[0].URI, attic.AccessToken)
		if err != nil {
			return err
		}
		sessions, err := server.GetSessions()
		if err == nil && sessions.MediaContainer.Size != 0 {
			err = fmt.Errorf("somebody is watching")
		}
		return err
	})
	if server != nil {
		step("libraries", func() error { return titles(server) })
		step("minted token", func() error {
			answer, err := post(server.URL+"/security/token?type=delegation&scope=all", nil, attic.AccessToken)
			if err != nil {
				return err
			}
			token, _ := answer["MediaContainer"].(map[string]any)["token"].(string)
			minted, err := plex.New(server.URL, token)
			if err != nil {
				return err
			}
			return titles(minted)
		})
	}
	if failed {
		os.Exit(1)
	}
}
