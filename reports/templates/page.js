"use strict";
(() => {
    const form = document.getElementById("filter");
    const search = document.getElementById("search");
    const found = document.getElementById("found");
    const noKnown = document.getElementById("no-known");
    const mostToOpen = 60; // pairs: opening more at once is more than anyone reads

    const pairs = Array.from(document.querySelectorAll("details.pair"), element => ({
        element,
        server: element.parentElement,
        who: element.querySelector(".who").textContent.toLowerCase(),
        cell: document.querySelector(`.matrix a[href="#${element.querySelector(".inner").id}"]`)?.parentElement,
        groups: Array.from(element.querySelectorAll("ul"), list => ({
            list,
            heading: list.previousElementSibling,
            count: list.previousElementSibling.querySelector("span"),
            verdict: list.className,
            items: null,
        })),
    }));
    // The text of an item is asked for when something is searched for the first time, not before.
    const itemsOf = (group, who) => group.items ??= Array.from(group.list.children, element => ({
        element,
        known: element.classList.contains("known"),
        text: who + " " + element.textContent.toLowerCase(),
    }));
    const show = (element, on) => element.classList.toggle("gone", !on);

    function apply() {
        const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
        const boxes = Array.from(form.querySelectorAll("input[name=verdict]"));
        const verdicts = new Set(boxes.filter(box => box.checked).map(box => box.value));
        const hideKnown = noKnown !== null && noKnown.checked;
        const filtering = words.length > 0 || hideKnown || verdicts.size < boxes.length;
        let cases = 0;
        let pairsShown = 0;
        const serversShown = new Set();
        for (const pair of pairs) {
            let inPair = 0;
            for (const group of pair.groups) {
                let inGroup = 0;
                for (const item of itemsOf(group, pair.who)) {
                    const on = verdicts.has(group.verdict) && !(hideKnown && item.known) &&
                        words.every(word => item.text.includes(word));
                    show(item.element, on);
                    inGroup += on ? 1 : 0;
                }
                const all = group.items.length;
                group.count.textContent = inGroup === all ? all : `${inGroup} of ${all}`;
                show(group.list, inGroup > 0);
                show(group.heading, inGroup > 0);
                inPair += inGroup;
            }
            show(pair.element, inPair > 0);
            pair.cell?.classList.toggle("faded", inPair === 0);
            if (inPair > 0) {
                serversShown.add(pair.server);
                ++pairsShown;
            }
            cases += inPair;
        }
        const open = filtering && pairsShown <= mostToOpen;
        for (const pair of pairs) {
            show(pair.server, serversShown.has(pair.server));
            pair.element.open = open;
            pair.server.open = open;
        }
        found.textContent = filtering ? `${cases} ${cases === 1 ? "case" : "cases"} in ${pairsShown} ` +
            `${pairsShown === 1 ? "pair" : "pairs"}` : "";
    }

    function openTarget() {
        const target = document.getElementById(location.hash.slice(1));
        const pair = target?.closest("details.pair");
        if (!pair) {
            return;
        }
        if (pair.classList.contains("gone")) {
            form.reset();
            setTimeout(openTarget); // after the filter has been taken off
            return;
        }
        pair.parentElement.open = true;
        pair.open = true;
        pair.scrollIntoView({block: "start"});
        pair.querySelector("summary").focus({preventScroll: true});
    }

    let waiting = 0;
    search.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(apply, 150);
    });
    form.addEventListener("change", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", event => event.preventDefault());
    for (const element of document.querySelectorAll("[data-find]")) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "find";
        button.textContent = element.textContent;
        button.title = "Show these cases";
        button.addEventListener("click", () => {
            search.value = element.dataset.find;
            apply();
            document.getElementById("cases").scrollIntoView();
        });
        element.replaceChildren(button);
    }
    addEventListener("hashchange", openTarget);
    // A second click on the same cell changes no hash, yet the reader wants to go there again.
    document.querySelector(".matrix")?.addEventListener("click", event => {
        if (event.target.closest("a")?.hash === location.hash) {
            openTarget();
        }
    });
    form.hidden = false;
    openTarget();
})();
