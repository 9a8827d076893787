// The part of an address behind its "#" is known to the browser alone: a comment, a tab, a place in a list.
// Where somebody is led on, or signs in on the way, it goes along; redirects keep it from then on.
//
// <a data-leads-on> is followed at once; without a script a refresh in <noscript> does. <form data-goes-on> ends
// where somebody was going.

// Its names are its own.
export {};

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-goes-on]")) {
  form.action += location.hash;
}

const onward = document.querySelector<HTMLAnchorElement>("a[data-leads-on]");
// Once all of the page is there, so that it stands whole if the way on does not.
if (onward !== null) addEventListener("load", () => location.replace(onward.href + location.hash));
